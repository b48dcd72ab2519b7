"""The DAG that sets up the destination of a connector: one chain of steps, which depend on its kind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, chain

from currents_airflow import notices
from currents_airflow.operators.base import SHORT_TASK, ConnectorOperator
from currents_airflow.operators.connect_check import CurrentsCheckOperator, CurrentsTestEventsOperator
from currents_airflow.operators.connect_custom_bus import (
    CurrentsAwaitCustomBusOperator,
    CurrentsCreateCustomBusOperator,
    CurrentsShowSubscriberOperator,
)
from currents_airflow.operators.connect_event_bus import (
    CurrentsArchiveOperator,
    CurrentsCreateBusOperator,
    CurrentsLogEventsOperator,
)
from currents_airflow.operators.connect_partner import (
    CurrentsAssociateSourceOperator,
    CurrentsAwaitSourceOperator,
    CurrentsOfferSourceOperator,
)
from currents_airflow.operators.connect_schemas import CurrentsDiscoverSchemasOperator, CurrentsPublishSchemasOperator
from currents_airflow.operators.retries import TASK_DEFAULTS
from currents_airflow.params import connect_params
from currents_core.setup.destination import PartnerDestination
from currents_core.setup.settings import Connector

# A source expires after a week or two, and is then offered again, so that a customer has time for a few tries.
_SOURCE_WAITS = timedelta(days=28)
_BUS_WAITS = timedelta(hours=1)
_SHORT: dict[str, Any] = {"execution_timeout": SHORT_TASK}

_DOC = """
Sets up where the connector **{name}** sends its events, {kind} `{destination}` in {region}. Press **Trigger**; clear
and run it again at any time: each step looks first, and changes only what differs. docs/destinations.md tells how.
"""
_OFFER_DOC = "Offers the source to the customer's account, again where it expired or was deleted."
_ASSOCIATE_DOC = "Associates the source with a bus in the customer's account, or tells the steps for its console."
_WAIT_DOC = "Waits until it is ACTIVE, without holding a worker."
_CREATE_DOC = "Creates the bus if it is missing and that was asked for."
_ARCHIVE_DOC = "Has an archive keep the events of the bus, if that was asked for."
_LOG_DOC = "Has the events of the bus written to a log group, if that was asked for."
_DISCOVER_DOC = "Has EventBridge discover the schemas of what arrives, if that was asked for."
_PUBLISH_DOC = "Publishes the schemas of Currents events, if that was asked for. Its log tells how they changed."
_CHECK_DOC = "Checks all that an export checks first: identity, destination, permission and quota."
_TEST_DOC = "Sends test events, if any were asked for, and looks whether they arrive where a target can be read."
_SUBSCRIBE_DOC = "Shows a command that has events of the bus delivered to a queue."


def connect_dag(connector: Connector) -> DAG:
    """The DAG that sets up the destination of a connector."""
    with DAG(
        dag_id=f"currents_connect_{connector.name}",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        params=connect_params(connector.destination),
        doc_md=_DOC.format(
            name=connector.name,
            kind=connector.destination.kind.replace("_", " "),
            destination=connector.destination_name,
            region=connector.destination.region,
        ),
        on_failure_callback=notices.on_failure(connector),
        tags=["currents"],
        default_args={"connector": connector.name, **TASK_DEFAULTS},
    ) as dag:
        chain(*_steps(connector))
    return dag


def _steps(connector: Connector) -> Iterator[ConnectorOperator]:
    destination = connector.destination
    if destination.kind == "partner_source":
        yield from _of_partner(destination)
    elif destination.kind == "custom_bus":
        yield from _of_custom_bus()
    else:
        yield from _of_event_bus()


def _of_partner(destination: PartnerDestination) -> Iterator[ConnectorOperator]:
    yield CurrentsOfferSourceOperator(task_id="create", doc_md=_OFFER_DOC, **_SHORT)
    yield CurrentsAssociateSourceOperator(task_id="associate", doc_md=_ASSOCIATE_DOC, **_SHORT)
    yield CurrentsAwaitSourceOperator(task_id="wait", doc_md=_WAIT_DOC, longest=_SOURCE_WAITS)
    if destination.customer_conn_id:
        yield from _of_consumer()
    yield from _of_trial()


def _of_event_bus() -> Iterator[ConnectorOperator]:
    yield CurrentsCreateBusOperator(task_id="create", doc_md=_CREATE_DOC, **_SHORT)
    yield CurrentsArchiveOperator(task_id="archive", doc_md=_ARCHIVE_DOC, **_SHORT)
    yield CurrentsLogEventsOperator(task_id="log", doc_md=_LOG_DOC, **_SHORT)
    yield from _of_consumer()
    yield from _of_trial()


def _of_custom_bus() -> Iterator[ConnectorOperator]:
    create = CurrentsCreateCustomBusOperator(task_id="create", doc_md=_CREATE_DOC, **_SHORT)
    yield create
    yield CurrentsAwaitCustomBusOperator(task_id="wait", bus=create.output, doc_md=_WAIT_DOC, longest=_BUS_WAITS)
    yield CurrentsPublishSchemasOperator(task_id="publish", doc_md=_PUBLISH_DOC, **_SHORT)
    yield CurrentsShowSubscriberOperator(task_id="subscribe", bus=create.output, doc_md=_SUBSCRIBE_DOC, **_SHORT)
    yield from _of_trial()


def _of_consumer() -> Iterator[ConnectorOperator]:
    """The steps in the account that events arrive in."""
    yield CurrentsDiscoverSchemasOperator(task_id="discover", doc_md=_DISCOVER_DOC, **_SHORT)
    yield CurrentsPublishSchemasOperator(task_id="publish", doc_md=_PUBLISH_DOC, **_SHORT)


def _of_trial() -> Iterator[ConnectorOperator]:
    """The steps that show that it works."""
    yield CurrentsCheckOperator(task_id="check", doc_md=_CHECK_DOC, **_SHORT)
    yield CurrentsTestEventsOperator(task_id="test", doc_md=_TEST_DOC, **_SHORT)
