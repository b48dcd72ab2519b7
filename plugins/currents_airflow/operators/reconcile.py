"""Closes an hour: writes its manifest, and fails where the books do not balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from currents_airflow.operators.base import CurrentsOperator, hour_of
from include.currents.errors import DeliveryError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.currents.manifest import Manifest


class CurrentsReconcileOperator(CurrentsOperator):
    """Accounts for the run's hour, and for earlier hours that got late files, from the ledger.

    :param shards: what ``CurrentsDiscoverOperator`` returned, or None where it failed
    """

    template_fields: Sequence[str] = (*CurrentsOperator.template_fields, "shards")

    def __init__(self, *, shards: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shards = shards

    def run_step(self, context: Context, /) -> dict[str, object]:
        """Returns the manifest's place and its totals. Raises DeliveryError where an hour is not complete."""
        if self.shards is None:
            self.log.warning("discover planned nothing, so there is nothing to account for; its log says why")
            return {}
        hour = hour_of(context)
        manifests = self._manifests(hour, self.shards)
        for manifest in manifests.values():
            self.hook.manifests.write(manifest, datetime.now(UTC))
            self.log.info("%s: %s", manifest.hour, manifest.account.totals)
        incomplete = [_complaint(manifest) for manifest in manifests.values() if not manifest.complete]
        if incomplete:
            raise DeliveryError(f"{self.connector}: {'; '.join(incomplete)}")
        place = f"s3://{self.hook.state.bucket}/{self.hook.manifests.key(hour)}"
        return {"manifest": place, "totals": asdict(manifests[hour].account.totals)}

    def _manifests(self, hour: str, shards: Sequence[Mapping[str, Any]]) -> dict[str, Manifest]:
        from include.currents.manifest import reconcile

        files = [file for shard in shards for file in self.hook.plans.read(shard["key"]).files]
        hours = sorted({hour, *(file.hour for file in files)})
        return {each: reconcile(self.connector, each, files, self.hook.ledger) for each in hours}


def _complaint(manifest: Manifest) -> str:
    if not manifest.open_files:
        return f"{manifest.hour}: the books do not balance ({manifest.account.totals}); please report this"
    reasons = list(manifest.open_files.values())
    return f"{manifest.hour} is not complete, open files: {len(reasons)}: {'; '.join(reasons[:5])}"
