"""Finds what a run has to deliver, and plans it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from currents_airflow import metrics, notices
from currents_airflow.links import DeliveriesLink, EventBusLink, SourceFilesLink
from currents_airflow.operators.base import CurrentsOperator
from currents_airflow.operators.plan import Plan, at_least_one
from currents_airflow.pool_check import require_pools
from currents_core.counted import counted

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.parts import RunParts
    from currents_core.finding.discover import Look
    from currents_core.finding.shard import Shard
    from currents_core.finding.window import Entered


class CurrentsDiscoverOperator(CurrentsOperator):
    """Looks for what is open in the run's hours, and returns a plan per shard for mapping.

    A scheduled run also looks back, through the connector's window. Where there is nothing to deliver, it returns one
    empty plan.
    """

    operator_extra_links = (DeliveriesLink(), SourceFilesLink(), EventBusLink())

    def run_step(self, context: Context, parts: RunParts, /) -> list[Plan]:
        """Also checks that the destination can take events."""
        from currents_core.finding.discover import look
        from currents_core.finding.shard import plan_run
        from currents_core.finding.window import enter
        from currents_core.setup.fitting import unknown_patterns

        require_pools(context)
        request, connector = parts.request, parts.connector
        self.addresses = parts.addresses()
        for pattern in unknown_patterns(connector):
            self.log.warning("event_types: Braze documents no event type that matches %s", pattern)
        self.check(context, parts)
        entered = enter(parts.index, parts.manifests, connector, request, datetime.now(UTC))
        self._tell(context, parts, entered)
        found = look(connector, parts.source, parts.ledger, request, entered.index)
        shards = plan_run(found, request, entered.index, marks_backfills=connector.mark_backfills)
        self._count(parts, shards)
        return _plans(parts, found, shards)

    def _tell(self, context: Context, parts: RunParts, entered: Entered) -> None:
        """Tells of hours that had no run, and of hours that will not be looked at again."""
        for hours, what in (
            (entered.missed, "had no run, and are late; this run delivers them"),
            (entered.left, "left the window and are not known to be complete; run them by hand, or as a backfill"),
        ):
            if hours:
                told = hours[0] if len(hours) == 1 else f"{hours[0]} to {hours[-1]}"
                self.log.warning("%s: %s (%s) %s", self.connector, told, counted(len(hours), "hour"), what)
                notices.tell_late(parts.connector, context, told)

    def _count(self, parts: RunParts, shards: list[Shard]) -> None:
        request = parts.request
        files = [file for shard in shards for file in shard.files]
        late = sum(file.hour in request.past for file in files)
        metrics.count(self.connector, files_found=len(files), files_late=late)
        when = request.hours[0] if len(request.hours) == 1 else f"{request.hours[0]} to {request.hours[-1]}"
        place = f"s3://{parts.source.bucket}/{parts.connector.source.prefix}"
        if not files:
            self.log.info("%s: nothing to deliver: every file below %s is delivered, or there are none", when, place)
            return
        found = f"{counted(len(files), 'file')} ({late} of earlier hours)"
        self.log.info("%s: %s in %s below %s", when, found, counted(len(shards), "shard"), place)


def _plans(parts: RunParts, found: Look, shards: list[Shard]) -> list[Plan]:
    key = parts.plans.write(parts.request.hours[0], found.as_json())
    plans = [Plan(key=parts.plans.write(shard.hour, shard.as_json()), label=shard.label, look=key) for shard in shards]
    return at_least_one(plans, key)
