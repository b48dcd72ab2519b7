"""What the operators of an export share: the connector, what the run is asked for, and how a fault ends a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator, ExceptionRetryPolicy, RetryAction, RetryRule

from currents_airflow.hooks.currents import CurrentsHook
from include.currents.connectors_file import load_connector
from include.currents.errors import DeliveryError, SetupError
from include.currents.hour import resolve_hour
from include.currents.run_request import RunRequest, redrive_request, run_request, sweep_request

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.currents.settings import Connector

Kind = Literal["export", "sweep", "redrive"]

# What passes is tried again after growing delays; what only a person can mend fails at once.
RETRY_POLICY = ExceptionRetryPolicy(
    [
        RetryRule(SetupError, RetryAction.FAIL, reason="somebody has to correct the set-up; the error says what"),
        RetryRule(DeliveryError, RetryAction.FAIL, reason="another try would meet the same; the error says what"),
    ]
)


# For every task, in `default_args`.
TASK_DEFAULTS = {
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "weight_rule": "absolute",
}


class CurrentsOperator(BaseOperator):
    """A step of an export.

    :param connector: the name of a connector in the connectors file
    :param kind: what its DAG does: export hours, sweep past hours for late files, or send dead letters again
    """

    template_fields: Sequence[str] = ("connector",)
    ui_color = "#e8f0fe"

    def __init__(self, *, connector: str, kind: Kind = "export", **kwargs: Any) -> None:
        # A mapped task is told None for what nobody gave.
        super().__init__(**kwargs | {"retry_policy": kwargs.get("retry_policy") or RETRY_POLICY})
        self.connector = connector
        self.kind = kind
        # Where its links go, by their names; known once it ran.
        self.addresses: dict[str, str] = {}

    def execute(self, context: Context) -> Any:
        """Runs the step."""
        try:
            connector = load_connector(self.connector)
            request = self._request(context, connector)
            return self.run_step(context, CurrentsHook(connector, request, context["dag_run"].run_id))
        except (SetupError, DeliveryError) as error:
            # The UI cuts off the message of an exception, but not a line. It says it all; where it came from would only
            # bury it.
            self.log.error("%s", error)
            raise error.with_traceback(None) from None

    @abstractmethod
    def run_step(self, _context: Context, _hook: CurrentsHook, /) -> Any:
        """What this operator does."""

    def _request(self, context: Context, connector: Connector) -> RunRequest:
        run, params = context["dag_run"], context["params"]
        hour = resolve_hour(run.partition_key, params.get("hour"), context.get("data_interval_start"))
        if self.kind == "sweep":
            return sweep_request(hour, connector)
        if self.kind == "redrive":
            return redrive_request(params, hour)
        return run_request(params, hour, connector, is_backfill=is_backfill(context))


def is_backfill(context: Context) -> bool:
    """Whether the run is part of a backfill."""
    return bool(context["dag_run"].run_type == "backfill")
