"""The runs of a connector without Airflow: what its tasks do, one step at a time, so that tests can get in between."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from currents_core.books.index import IndexObject
from currents_core.books.layout import Layout
from currents_core.books.manifest import Manifest
from currents_core.books.manifests import Manifests
from currents_core.errors import DeliveryError
from currents_core.finding.account_hours import account, remember
from currents_core.finding.discover import Look, look
from currents_core.finding.shard import Shard, plan_run
from currents_core.finding.window import Entered, enter
from currents_core.hour import hour_end
from currents_core.setup.run_request import RunRequest, run_request
from tests.tools.house import House


@dataclass
class Run:
    """One run of the connector of a house, ``minutes`` after its hour ended.

    What a step finds out is there once the step was made.
    """

    house: House
    hour: str
    is_scheduled: bool = True
    params: dict[str, Any] = field(default_factory=dict)
    minutes: int = 20
    request: RunRequest = field(init=False)
    entered: Entered = field(init=False)
    found: Look = field(init=False)
    shards: list[Shard] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = hour_end(self.hour) + timedelta(minutes=self.minutes)
        self.request = run_request(self.params, self.hour, self.house.connector, is_scheduled=self.is_scheduled)
        self.index = IndexObject(self.house.state, Layout())
        self.manifests = Manifests(self.house.state, Layout())

    def play(self) -> Run:
        """Makes all steps."""
        for _ in self.steps():
            pass
        return self

    def steps(self) -> Generator[str, None, None]:
        """Makes a step, and says which, each time that it is asked for the next."""
        house, request = self.house, self.request
        self.entered = enter(self.index, self.manifests, house.connector, request, self.now)
        yield "entered"
        self.found = look(house.connector, house.source, house.ledger, request, self.entered.index)
        self.shards = plan_run(self.found, request, self.entered.index, marks_backfills=True)
        yield "planned"
        failed = []
        for shard in self.shards:
            try:
                delivery = house.delivery(mode=shard.mark, waits=not shard.is_past, max_events=request.max_events)
                delivery.deliver(shard.work, shard.new)
            except DeliveryError:
                failed = ["deliver"]
            yield "delivered"
        yield from self._reconcile(failed)

    def _reconcile(self, failed: list[str]) -> Iterator[str]:
        house, request = self.house, self.request
        found = Look.from_json(self.found.as_json())
        accounts = account(
            house.connector, request, found, house.ledger, self.manifests, source=house.source, announces=True
        )
        yield "accounted"
        self.faults = accounts.complaints(request, failed)
        complete: list[Manifest] = []
        for draft in accounts.drafts:
            if self.manifests.write(draft, self.now, announce=not self.faults):
                complete.append(draft.manifest)
            yield "written"
        if accounts.drafts:
            remember(self.index, house.connector, found, accounts.drafts)
        yield "remembered"
        for manifest in complete:
            self.announced.append(manifest.hour)
            self.manifests.announced(manifest, self.now)
