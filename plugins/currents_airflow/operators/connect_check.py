"""The step that shows that a destination works: all that an export checks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from currents_airflow.operators.base import ConnectorOperator
from currents_core.setup.run_request import RunRequest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_core.setup.settings import Connector


class CurrentsCheckOperator(ConnectorOperator):
    """Checks the destination as an export does, and tries whether events may be sent."""

    def run_for(self, context: Context, connector: Connector, /) -> None:
        """Logs a line for each finding. Raises SetupError where an export would not work."""
        # Whoever parses DAGs runs no step.
        from currents_airflow.parts import RunParts

        parts = RunParts(connector, RunRequest(hours=()), context["dag_run"].run_id, self.verify)
        try:
            self.tell(parts.preflight(tries=True))
        finally:
            parts.bus.close()
