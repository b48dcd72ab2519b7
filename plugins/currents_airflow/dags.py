"""The DAGs of all connectors, for a DAG file of two lines, and the faults of their file, for another."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping

from airflow.sdk import DAG, get_parsing_context

from currents_airflow import notices
from currents_airflow.connect_dag import connect_dag
from currents_airflow.connectors import all_connectors, connectors_file
from currents_airflow.deadline import HourEnd
from currents_airflow.export_dags import export_dag
from currents_airflow.redrive_dag import automatic_redrive_dag, redrive_dag
from currents_core.errors import SetupError
from currents_core.setup.settings import Connector

log = logging.getLogger(__name__)


def make_dags() -> dict[str, DAG]:
    """The DAGs of all valid connectors, by id; none where no connectors file is named.

    Airflow finds them as the globals of a DAG file: `globals().update(make_dags())`.
    Raises SetupError where the file can't be read at all, or where the DAG processor lacks the plugin.
    """
    if not connectors_file():
        return {}
    _require_plugin()
    connectors = all_connectors()
    if connectors.faults:
        log.warning(connectors.report())
    return {dag.dag_id: dag for dag in _dags(connectors.valid)}


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


def _dags(connectors: Mapping[str, Connector]) -> Iterator[DAG]:
    for connector in connectors.values():
        yield export_dag(connector)
        yield connect_dag(connector)
        if connector.automatic_redrive:
            yield automatic_redrive_dag(connector)
    if connectors:
        yield redrive_dag(list(connectors), asks=any(each.approval.is_on for each in connectors.values()))
