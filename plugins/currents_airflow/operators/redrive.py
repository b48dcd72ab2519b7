"""The first and the last step of a redrive: which dead letters are sent again, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from currents_airflow.links import DeliveriesLink, EventBusLink
from currents_airflow.operators.base import CurrentsOperator
from currents_airflow.operators.plan import Plan, at_least_one
from currents_airflow.operators.reconcile import CurrentsReconcileOperator
from currents_airflow.pool_check import require_pools
from currents_core.counted import counted
from currents_core.errors import DeliveryError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.parts import RunParts
    from currents_core.finding.discover import Look


class CurrentsSelectLettersOperator(CurrentsOperator):
    """Chooses the dead letters of some hours, and returns a plan per shard for mapping, or one empty plan."""

    operator_extra_links = (
        DeliveriesLink(),
        EventBusLink(),
    )

    def run_step(self, context: Context, parts: RunParts, /) -> list[Plan]:
        """Also checks that the destination can take events."""
        from currents_core.finding.discover import Look, with_letters
        from currents_core.finding.shard import plan_shards
        from currents_core.finding.window import require_stream

        require_pools(context)
        self.addresses = parts.addresses()
        self.check(context, parts)
        require_stream(parts.index.read(), parts.connector, parts.index.uri)
        request = parts.request
        work, counts = with_letters(parts.ledger, self._hours(parts), request.wants_letter)
        found = counted(counts.total(), "matching dead letter")
        self.log.info("%s to %s: %s", request.hours[0], request.hours[-1], found)
        hours = sorted({place.hour for place in work})
        look = parts.plans.write(request.hours[0], Look(work, {}, hours).as_json())
        plans: list[Plan] = []
        for shard in plan_shards(work):
            letters = counted(sum(counts[place] for place in shard.work), "letter")
            key = parts.plans.write(shard.hour, shard.as_json())
            plans.append(Plan(key=key, label=f"{letters} of {shard.label}", look=look))
        return at_least_one(plans, look)

    def _hours(self, parts: RunParts) -> Iterable[str]:
        """The hours to look into: every hour costs a request for each of its event types."""
        hours = parts.request.hours
        if self.kind == "redrive":
            return hours
        first_date = parts.connector.state.first_date(datetime.now(UTC))
        known = parts.overviews.between(hours[0], hours[-1])
        return [hour for hour, view in known.items() if view.counts.dead_lettered and hour >= first_date]


class CurrentsConcludeRedriveOperator(CurrentsReconcileOperator):
    """Tells what became of the letters, and rewrites the manifests of their hours."""

    def close(self, context: Context, parts: RunParts, found: Look, failed: Sequence[str]) -> dict[str, Any]:
        """Returns what became of the letters' rows. Raises DeliveryError if some were not tried."""
        from currents_core.books.account import Counts
        from currents_core.finding.account_hours import account_of

        self.addresses = parts.addresses(hour=parts.request.hours[0])
        run = self.run_pass(context, parts, failed)
        for hour in found.hours:
            reconciled = partial(account_of, parts.connector, hour, parts.ledger, parts.source)
            draft = parts.manifests.draft(hour, reconciled)
            if draft.before:
                parts.manifests.write(draft, datetime.fromisoformat(run.record.at), run=run)
            else:
                # Whether the hour is complete is known to whoever looks at its source, which an export is about to.
                self.log.warning("%s: %s has no manifest yet: its export writes it", self.connector, hour)
        self.show(parts, found.hours, run)
        totals = sum((Counts(**each["rows"]) for each in self.results(context) if "rows" in each), Counts())
        self.log.info("%s: %s", counted(totals.read, "letter"), totals)
        if totals.dead_lettered:
            self.log.warning("%s could not be sent again; see their `reason`", counted(totals.dead_lettered, "letter"))
        if failed:
            raise DeliveryError(f"{self.connector}: {', '.join(failed)} failed; see the log, then clear it to resume")
        return asdict(totals)
