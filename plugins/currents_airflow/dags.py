"""The DAGs of all connectors, for a DAG file of two lines, and the faults of their file, for another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial

from airflow.sdk import DAG, get_parsing_context

from currents_airflow import notices
from currents_airflow.connect_dag import connect_dag
from currents_airflow.connectors import all_connectors, connectors_file
from currents_airflow.deadline import HourEnd
from currents_airflow.export_dags import export_dag
from currents_airflow.policy import REDRIVE_DAG
from currents_airflow.redrive_dag import automatic_redrive_dag, redrive_dag
from currents_core.errors import SetupError
from currents_core.setup.settings import Connector

log = logging.getLogger(__name__)


def make_dags() -> dict[str, DAG]:
    """The DAGs of all valid connectors, by id; none where no connectors file is named.

    A task that begins gets its own DAG alone: with 200 connectors, to make all of them takes two seconds.

    Source:
    https://airflow.apache.org/docs/apache-airflow/stable/howto/dynamic-dag-generation.html#optimizing-dag-parsing-delays-during-execution

    Airflow finds them as the globals of a DAG file: `globals().update(make_dags())`.
    Raises SetupError where the file can't be read at all, or where the DAG processor lacks the plugin.
    """
    if not connectors_file():
        return {}
    _require_plugin()
    connectors, parsed_for = all_connectors(), get_parsing_context()
    if connectors.faults and not parsed_for.task_id:
        # In the log of a task, it would tell of all connectors to whoever may see one.
        log.warning(connectors.report())
    makers = _makers(connectors.valid)
    # Commands tell a DAG, but no task, and may put all that they find into the database.
    return {dag_id: make() for dag_id, make in makers if not parsed_for.task_id or parsed_for.dag_id == dag_id}


def report_faults() -> None:
    """Raises SetupError with every fault of the connectors file, or where none is named.

    Call it in a DAG file of its own: Airflow shows it as that file's import error, and an import error in the file that
    makes the DAGs would stop the scheduling of all of them.
    """
    connectors = all_connectors()
    if connectors.faults:
        raise SetupError(connectors.report())
    if faults := list(notices.faults(connectors.valid.values())):
        raise SetupError("\n".join(faults))


def _require_plugin() -> None:
    if get_parsing_context().task_id:
        # Tasks parse DAG files too, and need no plugin.
        return
    from airflow.plugins_manager import get_deadline_references_plugins

    loaded: Collection[object] = get_deadline_references_plugins().values()
    if HourEnd not in loaded:
        raise SetupError(
            "the Airflow plugin `currents` is not loaded here; install the package currents-export, or make its folder "
            "plugins/ the plugins folder, in every part of Airflow (`airflow plugins` lists what is loaded)"
        )


def _makers(connectors: Mapping[str, Connector]) -> Iterator[tuple[str, Callable[[], DAG]]]:
    """The ids of the DAGs, and what makes each."""
    for name, connector in connectors.items():
        yield f"currents_export_{name}", partial(export_dag, connector)
        yield f"currents_connect_{name}", partial(connect_dag, connector)
        if connector.automatic_redrive:
            yield f"{REDRIVE_DAG}_{name}", partial(automatic_redrive_dag, connector)
    if connectors:
        asks = any(each.approval.is_on for each in connectors.values())
        yield REDRIVE_DAG, partial(redrive_dag, list(connectors), asks=asks)
