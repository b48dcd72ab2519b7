"""What the operators share: the connector, what the run is asked for, and how a fault ends a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from logging import INFO, WARNING, getLogger
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator

from currents_airflow.connectors import one_connector
from currents_airflow.operators.retries import RETRY_POLICY
from currents_airflow.orphan import end_with_supervisor
from currents_core.errors import DeliveryError, SetupError
from currents_core.hour import resolve_hour
from currents_core.setup.run_request import RunRequest, automatic_redrive_request, redrive_request, run_request

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.parts import RunParts
    from currents_core.ports import Finding
    from currents_core.setup.settings import Connector

Kind = Literal["export", "redrive", "automatic redrive"]

# They say of every client where its credentials and its endpoint come from.
_WORDY = ("botocore.credentials", "botocore.configprovider")
# Airflow's supervisor sends SIGTERM, and SIGKILL so much later: `ActivitySubprocess.kill` of Airflow 3.
_KILLED_AFTER_SECONDS = 5.0
# For tasks that plan or account. Deliveries take as long as it takes, and end by themselves where nothing moves.
SHORT_TASK = timedelta(hours=1)


class ConnectorOperator(BaseOperator):
    """A task for a connector.

    :param connector: the name of a connector in the connectors file
    :param aws_conn_id: the Airflow connection for the destination, where it is not to be the connector's
    :param region_name: the region of the destination, likewise
    :param verify: for the TLS of the destination: a file of certificates, or False for no check at all; else the
        connection's
    """

    # What the Amazon provider's `aws_template_fields` has, a module of which would load boto3 with every DAG.
    template_fields: Sequence[str] = ("connector", "aws_conn_id", "region_name", "verify")
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        connector: str,
        aws_conn_id: str | None = None,
        region_name: str | None = None,
        verify: bool | str | None = None,
        **kwargs: Any,
    ) -> None:
        # A mapped task gets None for what was not given.
        super().__init__(**kwargs | {"retry_policy": kwargs.get("retry_policy") or RETRY_POLICY})
        self.connector = connector
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        # The targets of its links, by name; known once it ran.
        self.addresses: dict[str, str] = {}

    def execute(self, context: Context) -> Any:
        """Runs the task, as long as its supervisor lives."""
        end_with_supervisor(self.end_within)
        for name in _WORDY:
            getLogger(name).setLevel(WARNING)
        try:
            return self.run_for(context, self.settings())
        except (SetupError, DeliveryError) as error:
            # The UI cuts off the message of an exception, but not a line of the log. The line says it all; a traceback
            # would bury it.
            self.log.error("%s", error)
            raise error.with_traceback(None) from None

    def on_kill(self) -> None:
        """Airflow calls this when it ends the task."""
        self.end_within(_KILLED_AFTER_SECONDS)

    def end_within(self, seconds: float) -> None:
        """Asks the task to end in good order within so many seconds, from a signal handler or any thread.

        Most tasks have nothing to save, and are simply ended.
        """

    def settings(self) -> Connector:
        """The connector's settings, with the overrides that this task was given for its destination."""
        connector = one_connector(self.connector)
        told = {"aws_conn_id": self.aws_conn_id, "region": self.region_name}
        told = {name: value for name, value in told.items() if value}
        return connector.model_copy(update={"destination": connector.destination.model_copy(update=told)})

    def tell(self, findings: Iterable[Finding]) -> None:
        """Logs each finding, as soon as it is there."""
        for finding in findings:
            self.log.log(WARNING if finding.is_warning else INFO, "%s", finding)

    @abstractmethod
    def run_for(self, _context: Context, _connector: Connector, /) -> Any:
        """What this operator does for the connector with these settings."""


class CurrentsOperator(ConnectorOperator):
    """A step of an export, with the parameters of ``ConnectorOperator`` besides its own.

    :param kind: what its DAG does: export hours, or send dead letters again, those that somebody asks for or those that
        the connector's settings choose
    """

    def __init__(self, *, kind: Kind = "export", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def run_for(self, context: Context, connector: Connector, /) -> Any:
        """Runs the step."""
        # Whoever parses DAGs runs no step.
        from currents_airflow.parts import RunParts

        request = self._request(context, connector)
        request.require_begun(datetime.now(UTC))
        return self.run_step(context, RunParts(connector, request, context["dag_run"].run_id, self.verify))

    @abstractmethod
    def run_step(self, _context: Context, _parts: RunParts, /) -> Any:
        """What this operator does."""

    def check(self, context: Context, parts: RunParts) -> None:
        """Checks the destination, since EventBridge drops what is sent to a missing bus, and logs what was found.

        Whether events may be sent is only tried in runs by hand. CloudWatch counts the try as an entry that failed, and
        somebody may have an alarm on these; the first request of any other run tells as well.
        """
        self.tell(parts.preflight(tries=context["dag_run"].run_type == "manual" and not parts.request.is_dry))

    def _request(self, context: Context, connector: Connector) -> RunRequest:
        run, params = context["dag_run"], context["params"]
        hour = resolve_hour(run.partition_key, params.get("hour"), context.get("data_interval_start"))
        if self.kind == "redrive":
            return redrive_request(params, hour)
        if self.kind == "automatic redrive":
            return self._automatic(connector, hour)
        kind = run.run_type
        return run_request(params, hour, connector, is_scheduled=kind == "scheduled", is_backfill=kind == "backfill")

    def _automatic(self, connector: Connector, hour: str) -> RunRequest:
        if not connector.automatic_redrive:
            raise SetupError(f"{connector.name}: automatic_redrive was removed from the connector's settings")
        return automatic_redrive_request(connector.automatic_redrive, hour)
