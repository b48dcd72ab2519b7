"""Finds what an hour's run has to deliver, and plans it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from currents_airflow.operators.base import CurrentsOperator, hour_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class CurrentsDiscoverOperator(CurrentsOperator):
    """Lists the hour's files and the late ones before it, and returns one plan per shard for mapping.

    A plan is `{"key", "label"}`: where the shard's files are listed in the state, and what the grid shows.
    """

    def run_step(self, context: Context, /) -> list[dict[str, object]]:
        """Also looks whether the destination exists, since EventBridge drops what is sent to a missing bus."""
        from include.currents.discover import undelivered
        from include.currents.shard import plan_shards

        hook, hour = self.hook, hour_of(context)
        hook.target.preflight()
        files = undelivered(hook.connector, hook.source, hook.ledger, hour)
        shards = plan_shards(files)
        late = sum(file.hour != hour for file in files)
        place = f"s3://{hook.source.bucket}/{hook.connector.source.prefix}"
        if shards:
            self.log.info("%s: %d files (%d late) in %d shards below %s", hour, len(files), late, len(shards), place)
        else:
            self.log.info("%s: nothing to deliver: every file below %s is delivered, or there is none", hour, place)
        return [{"key": hook.plans.write(hour, shard), "label": shard.label} for shard in shards]
