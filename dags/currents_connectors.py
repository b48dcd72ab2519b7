"""Shows the faults of the connectors file as an import error in Airflow; it makes no DAG.

A file of its own, so that a faulty connector breaks no valid one. (Airflow only reads files in which both the words
`airflow` and `dag` stand: this text is why it reads this one.)
"""

from __future__ import annotations

from currents_airflow import notices
from currents_airflow.connectors import all_connectors
from currents_core.errors import SetupError

connectors = all_connectors()
if connectors.faults:
    raise SetupError(connectors.report())
if faults := list(notices.faults(connectors.valid.values())):
    raise SetupError("\n".join(faults))
