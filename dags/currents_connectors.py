"""Shows the faults of the connectors file as an import error; a file of its own, so that no valid connector breaks."""

from __future__ import annotations

from include.currents.connectors_file import load_connectors
from include.currents.errors import SetupError

connectors = load_connectors()
if connectors.faults:
    raise SetupError(connectors.report())
