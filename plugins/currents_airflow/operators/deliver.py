"""Delivers the files of one shard to EventBridge."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from currents_airflow.operators.base import CurrentsOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.currents.deliver import Delivery
    from include.currents.marking import Mode


class CurrentsToEventBridgeOperator(CurrentsOperator):
    """Sends the events of a shard's files to the connector's destination; files delivered before are skipped.

    Its pace is its part of the connector's budget: the slots it takes of the pool, times what a slot is worth.

    :param shard: a plan of ``CurrentsDiscoverOperator``: `{"key", "label"}`
    """

    template_fields: Sequence[str] = (*CurrentsOperator.template_fields, "shard")

    def __init__(self, *, shard: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shard = shard
        self._delivery: Delivery | None = None

    def run_step(self, context: Context, /) -> dict[str, int]:
        """Returns the counts of the rows delivered by this try."""
        from include.currents.deliver import Delivery
        from include.currents.pacer import Pacer

        # What this process has loaded by now stays: looking through it for garbage again and again takes a twentieth of
        # the time.
        gc.freeze()
        hook = self.hook
        shard = hook.plans.read(self.shard["key"])
        self._delivery = Delivery(
            connector=hook.connector,
            source=hook.source,
            target=hook.target,
            pacer=Pacer(*hook.connector.rates(self.pool_slots)),
            ledger=hook.ledger,
            dead_letters=hook.dead_letters,
            delivered_ids=hook.delivered_ids,
            owner=_name(context),
            personal_data=hook.personal_data,
            mode=self._mode(context),
        )
        try:
            account = self._delivery.deliver(shard.files)
        finally:
            hook.target.close()
        self.log.info("%s: %s, notes %s", self.shard["label"], account.totals, dict(account.notes))
        return asdict(account.totals)

    def on_kill(self) -> None:
        """Ends the delivery in good order: what is under way is waited for, and how far it came is saved."""
        if self._delivery:
            self._delivery.stop()

    def _mode(self, context: Context) -> Mode:
        is_backfill = context["dag_run"].run_type == "backfill"
        return "backfill" if is_backfill and self.hook.connector.mark_backfills else "live"


def _name(context: Context) -> str:
    """The task as leases and messages name it."""
    task = context["ti"]
    return f"{task.dag_id} {task.run_id} {task.task_id}[{task.map_index}] try {task.try_number}"
