"""Who is told when a run fails, an hour is late or a source is pending, by any of Airflow's notifiers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow.sdk import AsyncCallback, DeadlineAlert  # type: ignore[attr-defined]
from airflow.sdk.module_loading import import_string  # type: ignore[attr-defined]

from currents_airflow.deadline import HourEnd
from currents_core.errors import SetupError
from currents_core.setup.settings import Connector, Notice

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


def on_failure(connector: Connector) -> list[Any]:
    """The callbacks of a failed run. Notices that can't be sent are left out; ``faults`` reports them."""
    return [made for made in map(_made, connector.notify.on_failure) if not isinstance(made, SetupError)]


def deadlines(connector: Connector) -> list[DeadlineAlert]:
    """The alerts of hours that are not delivered by their deadline."""
    notify = connector.notify
    return [
        DeadlineAlert(
            reference=HourEnd(),
            interval=timedelta(minutes=notify.deadline_minutes),
            callback=AsyncCallback(notice.notifier, kwargs=notice.arguments),
            name=f"{connector.name} within {notify.deadline_minutes} minutes",
        )
        for notice in notify.on_missed_deadline
        if not isinstance(_made(notice), SetupError)
    ]


def tell_late(connector: Connector, context: Context, hours: str) -> None:
    """Tells those who are told of missed deadlines that ``hours``, which had no run of their own, are late.

    Their notices get the context of the task that noticed, with these hours as the partition key of its run. A notice
    that can't be sent is logged: no delivery fails for that.
    """
    run: Any = context["dag_run"]
    run = run.model_copy(update={"partition_key": hours})
    _tell(connector, connector.notify.on_missed_deadline, {**context, "dag_run": run})


def tell_pending(connector: Connector, context: Context, line: str) -> None:
    """Tells that the connector's partner event source is pending; ``line`` says so, and is `pending` in the context.

    A notice that can't be sent is logged.
    """
    _tell(connector, connector.notify.on_pending, {**context, "pending": line})


def on_approval(connector: Connector) -> list[Any]:
    """The notifiers that tell of a run that waits for a person. Those that can't be made are left out."""
    return [made for made in map(_made, connector.notify.on_approval) if not isinstance(made, SetupError)]


def tell_alert(connector: Connector, context: Context, line: str) -> bool:
    """Tells of an alert; ``line`` is `alert` in the context. Returns whether anybody was told.

    A notice that can't be sent is logged.
    """
    log.warning("%s: %s", connector.name, line)
    return _tell(connector, connector.notify.on_alert, {**context, "alert": line})


def _tell(connector: Connector, notices: Iterable[Notice], context: Mapping[str, Any]) -> bool:
    """Sends notices, and returns whether one of them was sent."""
    is_told = False
    for notice in notices:
        if not isinstance(notifier := _made(notice), SetupError):
            notifier.context = context
            try:
                asyncio.run(_sent(notifier))
                is_told = True
            except Exception:
                log.exception("%s: %s could not be sent", connector.name, notice.notifier)
    return is_told


async def _sent(notifier: Any) -> None:
    # As Airflow does for the deadlines of runs.
    await notifier


def faults(connectors: Iterable[Connector]) -> Iterator[str]:
    """A line for each notice that can't be sent."""
    for connector in connectors:
        notify = connector.notify
        told = (notify.on_failure, notify.on_missed_deadline, notify.on_pending, notify.on_alert, notify.on_approval)
        for notice in chain.from_iterable(told):
            if isinstance(made := _made(notice), SetupError):
                yield f"connector {connector.name}: notify: {made}"


def _made(notice: Notice) -> Any:
    """The notifier, or a SetupError that says why there is none."""
    try:
        return import_string(notice.notifier)(**notice.arguments)
    except Exception as error:  # noqa: BLE001 - whatever a notifier of any provider raises
        return SetupError(f"{notice.notifier} can't be created ({error}); correct the class or its arguments")
