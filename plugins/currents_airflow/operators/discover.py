"""Finds what a run has to deliver, and plans it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from currents_airflow import metrics
from currents_airflow.links import EventBusLink, SourceFilesLink
from currents_airflow.operators.base import CurrentsOperator
from currents_airflow.operators.plan import Plan, at_least_one
from currents_airflow.pool_check import require_pool
from currents_core.counted import counted

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.parts import RunParts


class CurrentsDiscoverOperator(CurrentsOperator):
    """Lists the files of the hours and late files of earlier ones, and returns a plan per shard for mapping.

    Where there is nothing to deliver, it returns one empty plan.
    """

    operator_extra_links = (SourceFilesLink(), EventBusLink())

    def run_step(self, context: Context, parts: RunParts, /) -> list[Plan]:
        """Also checks that the destination exists, since EventBridge drops what is sent to a missing bus."""
        from currents_core.finding.discover import undelivered
        from currents_core.finding.shard import MAX_SHARDS, plan_shards
        from currents_core.setup.fitting import unknown_patterns

        require_pool(context)
        request = parts.request
        self.addresses = parts.addresses()
        for pattern in unknown_patterns(parts.connector):
            self.log.warning("event_types: Braze documents no event type that matches %s", pattern)
        parts.bus.preflight()
        work = undelivered(parts.connector, parts.source, parts.ledger, request)
        files = [file for each in work.values() for file in each]
        # A maximum is counted by one task.
        shards = plan_shards(work, max_shards=1 if request.max_events else MAX_SHARDS)
        late = sum(file.hour in request.past for file in files)
        metrics.count(parts.connector.name, files_found=len(files), files_late=late)
        self.log.info("%s", _said(parts, files, late, len(shards)))
        return at_least_one([Plan(key=parts.plans.write(shard), label=shard.label) for shard in shards])


def _said(parts: RunParts, files: list[Any], late: int, shards: int) -> str:
    request = parts.request
    hours = [*request.hours] or [*request.past]
    when = hours[0] if len(hours) == 1 else f"{hours[0]} to {hours[-1]}"
    place = f"s3://{parts.source.bucket}/{parts.connector.source.prefix}"
    if not files:
        return f"{when}: nothing to deliver: every file below {place} is delivered, or there are none"
    return f"{when}: {counted(len(files), 'file')} ({late} late) in {counted(shards, 'shard')} below {place}"
