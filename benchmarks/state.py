"""Requests to S3, and objects of state: of an hour of small files, of a rerun over it, and of a late file.

All of an export's steps over the local AWS, without Airflow: discover, deliver, reconcile. Each request of the S3
clients counts, those of listings and of plans and manifests as well. Beside each figure stands the most that it should
be, which does not depend on the machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import chain
from typing import Any
from uuid import uuid4

import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table

from currents_aws.memory import MemoryObjects, MemoryTarget
from currents_aws.s3 import S3Objects
from currents_core.books.compact import Compaction
from currents_core.books.day_search import find
from currents_core.books.days import Days
from currents_core.books.index import IndexObject
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.manifests import Manifests
from currents_core.catalog import catalog
from currents_core.crew import Threads
from currents_core.delivering.deliver import Delivery
from currents_core.delivering.roll import Roll
from currents_core.delivering.share import Share
from currents_core.finding.account_hours import account, remember
from currents_core.finding.discover import Look, look
from currents_core.finding.plan import Plans
from currents_core.finding.shard import Shard, plan_run
from currents_core.finding.window import enter
from currents_core.hour import format_hour, hours_back
from currents_core.ports import ObjectStore
from currents_core.sending.pacer import Pacer
from currents_core.setup.run_request import run_request
from currents_core.setup.settings import Connector
from tests.tools.local_aws import LocalAws, local_aws
from tests.tools.sample import make_files

# A live hour, and a day that may be compacted.
HOUR = format_hour(datetime.now(UTC) - timedelta(hours=1))
DATE = "2026-10-02"
TYPES, FILES, ROWS = 30, 10, 20
DAY_TYPES = 6
LARGE, LATE_AMONG = "users.messages.email.Open", 5_000


class House:
    """A source, a state and a destination of the local AWS, whose S3 requests are counted."""

    def __init__(self, aws: LocalAws) -> None:
        self.requests = Counter[str]()
        self.client: Any = aws.client("s3")
        self.client.meta.events.register("before-send.s3", self._count)
        name = f"state-{uuid4()}"
        self.client.create_bucket(Bucket=name)
        settings = {
            "name": "benchmark",
            "source": {"bucket": name, "prefix": "in"},
            "destination": {"kind": "event_bus", "name": "bus", "region": "us-east-1"},
            "state": {"bucket": name, "prefix": "state"},
        }
        self.connector = Connector.model_validate(settings)
        self.store: ObjectStore = S3Objects(self.client, name)
        self.layout = Layout("state/benchmark/")

    def _count(self, request: Any, **_: Any) -> None:
        self.requests[request.method] += 1

    def put(self, event_type: str, files: int, first: int = 0, hour: str = HOUR) -> None:
        """Puts small files."""
        for number in range(first, first + files):
            [file] = make_files([hour], [event_type], rows=ROWS, prefix="in/", first=number)
            self.store.write(file.key, file.body)

    def fill(self, hours: list[str]) -> int:
        """Has a small file of every event type delivered in each of these hours. Returns how many types there are."""
        # In memory, since this is not what is measured.
        counted, self.store = self.store, (kept := MemoryObjects(self.store.bucket))
        types = sorted(name for name, each in catalog().items() if each.stored)
        bodies = {file.key.partition("date=")[0]: file for file in make_files([HOUR], types, rows=ROWS, prefix="in/")}
        for hour in hours:
            for folder, file in bodies.items():
                kept.write(f"{folder}date={hour}/a.parquet", file.body)
            self.run(hour)
        for key, body in kept.contents.items():
            counted.write(key, body)
        self.store = counted
        return len(types)

    def run(self, hour: str = HOUR) -> int:
        """Exports an hour as a scheduled run does. Returns the requests that it took."""
        self.requests.clear()
        request = run_request({}, hour, self.connector, is_scheduled=True)
        books, manifests = IndexObject(self.store, self.layout), Manifests(self.store, self.layout)
        plans, now = Plans(self.store, self.layout), datetime.now(UTC)
        index = enter(books, manifests, self.connector, request, now).index
        found = look(self.connector, self.store, Ledger(self.store, self.layout), request, index)
        shards = plan_run(found, request, index, marks_backfills=True)
        looked = plans.write(hour, found.as_json())
        keys = [plans.write(shard.hour, shard.as_json()) for shard in shards]
        for key in keys:
            self._deliver(Shard.from_json(plans.read(key)))
        found = Look.from_json(plans.read(looked))
        ledger = Ledger(self.store, self.layout)
        accounts = account(self.connector, request, found, ledger, manifests, source=self.store, announces=True)
        assert not accounts.complaints(request, [])
        for draft in accounts.drafts:
            if manifests.write(draft, now, announce=True):
                manifests.announced(draft.manifest, now)
        if accounts.drafts:
            remember(books, self.connector, found, accounts.drafts)
        return self.requests.total()

    def _deliver(self, shard: Shard) -> None:
        crew, slots = Threads(), self.connector.budget.all_slots
        pacer = Pacer(*self.connector.rates, clock=crew.seconds)
        delivery = Delivery(
            connector=self.connector,
            source=self.store,
            target=MemoryTarget(),
            pacer=pacer,
            ledger=Ledger(self.store, self.layout),
            share=Share(Roll(self.store, self.layout, crew), pacer, crew, part=1 / slots),
        )
        delivery.deliver(shard.work, shard.new)

    def objects(self) -> int:
        """The objects of state of the hour's slices."""
        return sum(1 for _ in self.store.objects(self.layout.slices(HOUR)))

    def compact(self, date: str) -> int:
        """Compacts a day. Returns the requests that it took."""
        self.requests.clear()
        assert Compaction(self.store, self.layout, quiet=-1.0).compact(date)
        return self.requests.total()

    def kept(self) -> int:
        """All objects of state."""
        return sum(1 for _ in self.store.objects(self.layout.root))


@contextmanager
def house() -> Iterator[House]:
    """A house on a local AWS of its own."""
    with local_aws() as aws:
        yield House(aws)


def rows() -> Iterator[tuple[str, float, str]]:
    """What was measured: what it is, the figure, and the most that it should be."""
    files = TYPES * FILES
    with house() as small:
        # The first run of a connector costs a request more.
        small.run(hours_back(HOUR, 1)[0])
        for event_type in sorted(catalog())[:TYPES]:
            small.put(event_type, FILES)
        yield f"requests a file, {files} files in {TYPES} slices", small.run() / files, "1.5"
        yield "objects of state a slice", small.objects() / TYPES, "4"
        # Listings of the source: one that finds the types, and one of each type.
        yield "requests of a rerun, without the source's listings", small.run() - TYPES - 1, "20"
    with house() as window:
        types = window.fill(hours := hours_back(HOUR, 72))
        # No type has more than a listing can tell.
        figure = window.run() - types - 1
        what = f"{len(hours)} hours with {types * len(hours):,} files, all delivered"
        yield f"requests of a window of {what}, without the source's listings", figure, "20"
    with house() as large:
        large.put(LARGE, LATE_AMONG)
        yield f"requests a file, {LATE_AMONG:,} files in one slice", large.run() / LATE_AMONG, "1.5"
        yield "objects of state a slice", float(large.objects()), "4"
        large.put(LARGE, 1, first=LATE_AMONG)
        listings = LATE_AMONG // 1_000 + 2
        yield f"requests of a late file among {LATE_AMONG:,}", large.run() - listings, "30"


def rows_of_days() -> Iterator[tuple[str, float, str]]:
    """The same of days that are compacted, and of a month of them."""
    slices = 24 * DAY_TYPES
    with house() as day:
        for hour in (f"{DATE}-{number:02}" for number in range(24)):
            for event_type in sorted(catalog())[:DAY_TYPES]:
                day.put(event_type, 1, hour=hour)
            day.run(hour)
        yield f"requests to compact a day, a slice of {slices}", day.compact(DATE) / slices, "4"
        yield "objects of a compacted day", day.kept(), "20"
        day.put(min(catalog()), 1, first=1, hour=f"{DATE}-08")
        yield "requests of a late file of a compacted day", day.run(f"{DATE}-08") - DAY_TYPES - 2, "35"
    dates = [f"2026-10-{number:02}" for number in range(1, 32)]
    with house() as month:
        for date in dates:
            month.put(LARGE, 1, hour=f"{date}-08")
            month.run(f"{date}-08")
            month.compact(date)
        days = Days(month.store, month.layout)
        month.requests.clear()
        indexes = [days.version(date)[0] for date in dates]
        yield "requests to read the indexes of a month", month.requests.total(), "31"
        wanted = _an_id(month, dates[17])
        month.requests.clear()
        assert [len(find(month.store, month.layout, index, wanted)) > 0 for index in indexes] == [
            date == dates[17] for date in dates
        ]
        yield "requests to find an id in a month, besides", month.requests.total(), "33"


def _an_id(house: House, date: str) -> str:
    """The id of an event of a day."""
    [file] = [each for each in house.store.objects("in/") if f"/date={date}-" in each.key]
    return str(pq.read_table(BytesIO(house.store.read(file.key) or b""))["id"][0])


def main() -> None:
    """Prints one table."""
    table = Table("S3", "measured", "at most", box=box.SIMPLE_HEAD)
    for what, figure, most in chain(rows(), rows_of_days()):
        table.add_row(what, f"{figure:,.2f}".rstrip("0").rstrip("."), most)
    Console().print(table)


if __name__ == "__main__":
    main()
