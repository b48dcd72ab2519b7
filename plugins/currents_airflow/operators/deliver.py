"""Delivers the files of one shard to EventBridge."""

from __future__ import annotations

import gc
import time
from _thread import start_new_thread
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from currents_airflow import metrics
from currents_airflow.links import DeliveriesLink, EventBusLink, SourceFilesLink
from currents_airflow.operators.base import CurrentsOperator
from currents_airflow.operators.plan import Plan
from currents_airflow.policy import APPROVE
from currents_core.errors import DeliveryError

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from currents_airflow.parts import RunParts
    from currents_core.books.account import Account
    from currents_core.delivering.deliver import Delivery
    from currents_core.finding.shard import Shard
    from currents_core.sending.figures import SendFigures
    from currents_core.sending.pacer import Pacer
    from currents_core.setup.run_request import RunRequest


class CurrentsToEventBridgeOperator(CurrentsOperator):
    """Sends the events of a shard's files to the connector's destination; files delivered before are skipped.

    It may send at its part of the connector's budget, which is that of the slots it takes of the pool, and may use what
    other tasks of the connector leave of the budget besides.

    :param shard: a plan of ``CurrentsDiscoverOperator`` or ``CurrentsSelectLettersOperator``
    :param approved: where a person has to approve, what ``CurrentsApprovalOperator`` returned, in a list
    """

    operator_extra_links = (DeliveriesLink(), SourceFilesLink(), EventBusLink())
    template_fields: Sequence[str] = (*CurrentsOperator.template_fields, "shard", "approved")

    def __init__(self, *, shard: Plan, approved: Sequence[str | None] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shard = shard
        self.approved = approved
        self._delivery: Delivery | None = None
        self._ends_within: float | None = None
        self._datasets: list[str] = []

    def run_step(self, context: Context, parts: RunParts, /) -> dict[str, Any] | None:
        """Returns the counts of the `rows` that this try delivered and the figures of `sending`; a dry run's forecast.

        None for an empty plan, which needs no request to AWS.
        """
        from currents_core.delivering.deliver import Delivery
        from currents_core.finding.shard import Shard
        from currents_core.finding.window import require_stream

        key = self.shard["key"]
        if key is None:
            self.log.info("%s", self.shard["label"])
            return None
        self._require_approved(parts.request)
        # Settings may have changed since this was planned.
        require_stream(parts.index.read(), parts.connector, parts.index.uri, keeps_books=parts.request.keeps_books)
        # What this process has loaded by now stays: collecting garbage in it again and again costs a twentieth of the
        # time.
        gc.freeze()
        request = parts.request
        shard = Shard.from_json(parts.plans.read(key))
        if shard.is_past:
            shard = shard.without_ended(parts.ledger.keeps)
        self.addresses = parts.addresses(shard.prefix)
        if not request.is_dry:
            self._datasets = sorted({file.dataset for file in shard.files})
        pacer, share, tell = _paced(parts, self.pool_slots, _name(context))
        self._delivery = Delivery(
            connector=parts.connector,
            source=parts.source,
            target=parts.target,
            pacer=pacer,
            share=share,
            tell=tell,
            ledger=parts.ledger,
            owner=_name(context),
            personal_data=parts.personal_data,
            mode=shard.mark,
            waits=not shard.is_past,
            max_events=request.max_events,
            wants_letter=request.wants_letter if request.is_redrive else None,
        )
        if self._ends_within is not None:
            self._delivery.stop(self._ends_within)
        began = time.time()
        try:
            account = self._delivery.deliver(shard.work, shard.new)
        finally:
            parts.target.close()
            if not request.is_dry:
                _measure(parts.connector.name, self._delivery.figures)
        notes = (f"{note} {count}" for note, count in sorted(account.notes.items()))
        self.log.info("%s: %s", self.shard["label"], ", ".join([str(account.totals), *notes]))
        if request.is_dry:
            return _forecast(parts, shard, account)
        return {"rows": asdict(account.totals), "sending": _sending(self._delivery.figures, began, context["dag_run"])}

    def _require_approved(self, request: RunRequest) -> None:
        """Raises DeliveryError if a person had to approve, and did not approve of this very plan.

        Somebody may mark the task that asks as a success, or have the run planned again without it.
        """
        asks = self.approved is not None and request.may_need_approval
        if asks and self.shard.get("look") not in (self.approved or ()):
            raise DeliveryError(
                f"{self.connector}: {self.shard['label']}: nobody approved of what is planned now; nothing was sent. "
                f"Clear `{APPROVE}`, with the tasks after it"
            )

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any]:
        """The datasets of what was sent: a folder for each event type, and the bus. OpenLineage's provider calls this.

        Names: https://openlineage.io/docs/spec/naming for S3; it has none for EventBridge.
        """
        from airflow.providers.common.compat.openlineage.facet import Dataset
        from airflow.providers.openlineage.extractors import OperatorLineage

        if not self._datasets:
            return OperatorLineage()
        connector = self.settings()
        bucket, region = f"s3://{connector.source.bucket}", connector.destination.region
        return OperatorLineage(
            inputs=[Dataset(namespace=bucket, name=name) for name in self._datasets],
            outputs=[Dataset(namespace=f"eventbridge://{region}", name=_dataset(connector.destination_name))],
        )

    def end_within(self, seconds: float) -> None:
        """Ends the delivery in good order: waits for the requests under way, and saves what was accepted."""
        self._ends_within = seconds
        if self._delivery:
            # A signal handler may be in a thread that holds the very lock that stopping takes.
            start_new_thread(self._delivery.stop, (seconds,))


def _paced(
    parts: RunParts, slots: float, owner: str
) -> tuple[Pacer, AbstractContextManager[Any], Callable[[str], None]]:
    """The pacer of a task with so many slots of its pool, what shares the budget, and what shows its progress.

    A dry run shares nothing, and shows nothing.
    """
    from currents_core.crew import Threads
    from currents_core.delivering.roll import Roll
    from currents_core.delivering.share import Share
    from currents_core.sending.pacer import Pacer

    if parts.request.is_dry:
        return Pacer(None, None), nullcontext(), lambda _: None
    crew, pace, all_slots = Threads(), parts.request.pace, parts.connector.budget.all_slots
    pacer = Pacer(*parts.connector.rates, clock=crew.seconds)
    roll = Roll(parts.state, parts.hours, crew, owner=owner)
    return pacer, Share(roll, pacer, crew, part=slots * pace / all_slots, limit=pace), roll.note


def _dataset(bus: str) -> str:
    """The name of a bus in lineage, from its name or its ARN."""
    return bus.rpartition(":")[2] if bus.startswith("arn:") else f"event-bus/{bus}"


def _sending(figures: SendFigures, began: float, run: Any) -> dict[str, float]:
    """What the record of a run takes from its tasks."""
    tries = figures.sent + figures.failed
    return {
        "requests": figures.requests,
        "tries": tries,
        "throttled": figures.throttled,
        "began": began,
        "ended": time.time(),
        "cleared": run.clear_number or 0,
    }


def _measure(connector: str, figures: SendFigures) -> None:
    """Counts what was sent, even by a delivery that failed."""
    metrics.count(
        connector,
        events_sent=figures.sent,
        requests=figures.requests,
        throttled=figures.throttled,
        failed=figures.failed,
    )


def _forecast(parts: RunParts, shard: Shard, account: Account) -> dict[str, Any]:
    """What the dry run of a shard found. Its dead letters are in a state that forgets them."""
    from currents_aws.dry_run import DryRunTarget
    from currents_core.books.dead_letter import letters_of

    assert isinstance(parts.target, DryRunTarget)
    found = parts.target.forecast
    found.account = account
    planned = {file.id for file in shard.files}
    for place in shard.work:
        if head := parts.ledger.head(place):
            states = [state for file_id, state in head.files.items() if file_id in planned]
            letters = letters_of(parts.ledger.pages(place), states)
            found.dead_letters.update(str(letter["code"]) for _, letter in letters)
    return found.as_json()


def _name(context: Context) -> str:
    """The name of the task in leases and messages."""
    task = context["ti"]
    return f"{task.dag_id} {task.run_id} {task.task_id}[{task.map_index}] try {task.try_number}"
