"""Delivers the files of one shard to EventBridge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from currents_airflow.operators.base import CurrentsOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.currents.pacer import Pacer


class CurrentsToEventBridgeOperator(CurrentsOperator):
    """Sends the events of a shard's files to the connector's destination; files delivered before are skipped.

    :param shard: a plan of ``CurrentsDiscoverOperator``: `{"key", "label", "share"}`
    """

    template_fields: Sequence[str] = (*CurrentsOperator.template_fields, "shard")

    def __init__(self, *, shard: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shard = shard

    def run_step(self, _context: Context, /) -> dict[str, int]:
        """Returns the counts of the rows delivered by this try."""
        from include.currents.deliver import Delivery
        from include.currents.retry import Backoff
        from include.currents.send import Sender

        hook = self.hook
        with Sender(hook.target, self._pacer(), Backoff()) as sender:
            delivery = Delivery(
                connector=hook.connector,
                source=hook.source,
                sender=sender,
                bytes_per_entry=hook.target.limits.bytes_per_entry,
                ledger=hook.ledger,
                dead_letters=hook.dead_letters,
                delivered_ids=hook.delivered_ids,
                personal_data=hook.personal_data,
            )
            account = delivery.deliver(hook.plans.read(self.shard["key"]).files)
        self.log.info("%s: %s, notes %s", self.shard["label"], account.totals, dict(account.notes))
        return asdict(account.totals)

    def _pacer(self) -> Pacer:
        from include.currents.pacer import Pacer

        connector, share = self.hook.connector, self.shard["share"]
        entries = connector.budget.entries_per_second
        return Pacer(connector.requests_per_second * share, entries * share if entries else None)
