"""What the operators of an export share: the connector, the hour, and how a fault ends a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from currents_airflow.hooks.currents import CurrentsHook
from include.currents.errors import DeliveryError, SetupError
from include.currents.hour import resolve_hour

if TYPE_CHECKING:
    from airflow.sdk import Context


class CurrentsOperator(BaseOperator):
    """A step of an export.

    :param connector: the name of a connector in the connectors file
    """

    template_fields: Sequence[str] = ("connector",)
    ui_color = "#e8f0fe"

    def __init__(self, *, connector: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.connector = connector

    @cached_property
    def hook(self) -> CurrentsHook:
        """The connector's source, state and destination."""
        return CurrentsHook(self.connector)

    def execute(self, context: Context) -> Any:
        """Runs the step. What no retry can mend, a wrong set-up or a damaged file, fails the task at once."""
        try:
            return self.run_step(context)
        except (SetupError, DeliveryError) as error:
            raise AirflowFailException(str(error)) from None

    @abstractmethod
    def run_step(self, _context: Context, /) -> Any:
        """What this operator does."""


def hour_of(context: Context) -> str:
    """The hour that the run of ``context`` is for."""
    run = context["dag_run"]
    return resolve_hour(run.partition_key, context["params"].get("hour"), context.get("data_interval_start"))
