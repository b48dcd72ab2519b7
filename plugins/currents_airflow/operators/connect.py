"""What the steps of setting up a destination share. Each looks first, so that it may be cleared and run at any time."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowSensorTimeout

from currents_airflow.operators.base import ConnectorOperator
from currents_core.counted import counted
from currents_core.errors import SetupError, TransientError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.connect_parts import ConnectParts
    from currents_core.setup.settings import Connector

# How soon a wait looks again: after seconds at first, while somebody may be watching, and less often later.
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=10)


class CurrentsConnectOperator(ConnectorOperator):
    """A step of setting up the destination of a connector."""

    def run_for(self, context: Context, connector: Connector, /) -> Any:
        """Runs the step."""
        # Whoever parses DAGs runs no step.
        from currents_airflow.connect_parts import ConnectParts

        parts = ConnectParts(connector, self.verify)
        try:
            return self.set_up(context, parts)
        finally:
            parts.close()

    @abstractmethod
    def set_up(self, _context: Context, _parts: ConnectParts, /) -> Any:
        """What this step does."""

    def not_asked(self, what: str) -> None:
        """Says that the step has nothing to do."""
        self.log.info("%s: %s was not asked for in the form; what is there stays as it is", self.connector, what)


class CurrentsAwaitOperator(CurrentsConnectOperator, BaseSensorOperator):
    """A step that waits, and holds no worker meanwhile. It looks again after growing pauses.

    :param longest: how long it waits, in whole days or hours
    """

    def __init__(self, *, longest: timedelta, **kwargs: Any) -> None:
        super().__init__(
            mode="reschedule",
            poke_interval=_FIRST_PAUSE,
            exponential_backoff=True,
            max_wait=_LONGEST_PAUSE,
            timeout=longest,
            **kwargs,
        )
        self.longest = longest
        self._parts: ConnectParts | None = None

    def set_up(self, context: Context, parts: ConnectParts, /) -> Any:
        """Looks once, as a sensor does, and has Airflow call again. Raises SetupError where that took too long."""
        self._parts = parts
        try:
            return BaseSensorOperator.execute(self, context)
        except AirflowSensorTimeout:
            days, hours = self.longest.days, self.longest.seconds // 3_600
            waited = counted(days, "day") if days else counted(hours, "hour")
            raise SetupError(
                f"{self.connector}: {parts.connector.destination_name} is not ACTIVE after {waited}; clear this task "
                "to go on waiting"
            ) from None

    def poke(self, context: Context) -> bool:
        """Looks once. What passes by itself is waited for as well."""
        assert self._parts
        try:
            return self.is_there(context, self._parts)
        except TransientError as error:
            self.log.warning("%s: %s", self.connector, error)
            return False

    @abstractmethod
    def is_there(self, _context: Context, _parts: ConnectParts, /) -> bool:
        """Whether what is waited for has come."""
