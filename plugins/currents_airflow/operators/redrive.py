"""The first and the last step of a redrive: which dead letters are sent again, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from currents_airflow.links import EventBusLink
from currents_airflow.operators.base import CurrentsOperator
from currents_airflow.operators.reconcile import CurrentsReconcileOperator
from currents_airflow.pool_check import require_pool
from currents_core.counted import counted
from currents_core.errors import DeliveryError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.parts import RunParts
    from currents_core.file_key import SourceFile


class CurrentsSelectLettersOperator(CurrentsOperator):
    """Chooses the dead letters of some hours, and returns one plan per shard for mapping.

    A plan is `{"key", "label", "mark"}`: where the shard's files are listed in the state, what the grid shows, and
    how the events are marked.
    """

    operator_extra_links = (EventBusLink(),)

    def run_step(self, context: Context, parts: RunParts, /) -> list[dict[str, object]]:
        """Also checks that the destination exists, since EventBridge drops what is sent to a missing bus."""
        from currents_core.finding.shard import plan_shards

        require_pool(context)
        self.addresses = parts.addresses()
        parts.bus.preflight()
        request, redrive = parts.request, parts.redrive
        plans: list[dict[str, object]] = []
        for mark, files in redrive.plan(request.hours, request.wants_letter).items():
            for shard in plan_shards(files):
                letters = sum(len(redrive.rows(file)) for file in shard.files)
                key = parts.plans.write(shard.files[0].hour, shard)
                plans.append({"key": key, "label": f"{counted(letters, 'letter')} of {shard.label}", "mark": mark})
                self.log.info("%s", plans[-1]["label"])
        if not plans:
            self.log.info("%s to %s: no matching dead letters", request.hours[0], request.hours[-1])
        return plans


class CurrentsConcludeRedriveOperator(CurrentsReconcileOperator):
    """Removes the dead letters that were accepted from their hours' books, and records the attempt of the others."""

    def close(
        self, _context: Context, parts: RunParts, files: Sequence[SourceFile], failed: Sequence[str]
    ) -> dict[str, Any]:
        """Returns what became of the letters' rows. Raises DeliveryError if some were not tried."""
        from currents_core.books.manifest import reconcile

        now = datetime.now(UTC)
        self.addresses = parts.addresses(hour=parts.request.hours[0])
        totals = parts.redrive.conclude(files, now).totals
        for hour in sorted({file.hour for file in files}):
            parts.hours_manifests.write(reconcile(self.connector, hour, [], parts.redrive.ledger), now)
        self.log.info("%s: %s", counted(totals.read, "letter"), totals)
        if totals.dead_lettered:
            self.log.warning("%s could not be sent again; see their `reason`", counted(totals.dead_lettered, "letter"))
        if failed:
            raise DeliveryError(f"{self.connector}: {', '.join(failed)} failed; see the log, then clear it to resume")
        return asdict(totals)
