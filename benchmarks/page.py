"""The delivery page: its first view of a month, and one event among a hundred million of a month.

S3 answers after 30 ms, as it does. The page is asked without a browser, as Airflow's API server has it; the search runs
in the bounded process that the page starts. Beside each figure stands the most that it should be.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import yaml
from fastapi.testclient import TestClient
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.store import LocalStore, store
from currents_aws.memory import MemoryObjects
from currents_core.books.account import Account, Counts
from currents_core.books.claim import Claim
from currents_core.books.compact import Compaction
from currents_core.books.head import FileState
from currents_core.books.id_pages import fingerprints, placed
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.overview import HourView, TypeView, Week, week_of
from currents_core.books.row_set import RowSet
from currents_core.books.run_record import RunRecord
from currents_core.catalog import catalog
from currents_core.file_key import SourceFile
from currents_core.hour import hour_end
from tests.tools.house import finish

ANSWER_SECONDS = 0.03
DAYS, VIEWS = 31, 5
# The event types of the search, and its events.
TYPES = ("users.messages.email.Delivery", "users.messages.email.Open", "users.messages.email.Send")
EVENTS = 100_000_000
WANTED = "4d2e0f9a-0b7c-4a52-9d3f-6f1f0c7f2b11"
BUCKET, NAME = "state", "orders"
LAYOUT = Layout(f"{NAME}/")


def dates() -> list[str]:
    """The days that are searched, the newest first."""
    return [f"{datetime.now(UTC) - timedelta(days=back):%Y-%m-%d}" for back in range(DAYS)]


def overview(target: LocalStore) -> None:
    """Puts the overview of a month in which every event type has events in every hour."""
    kinds = sorted(name for name, each in catalog().items() if each.stored)
    weeks: dict[str, dict[str, HourView]] = {}
    rng = np.random.default_rng(7)
    for date in dates():
        for number in range(24):
            hour, rows = f"{date}-{number:02}", [int(each) for each in rng.integers(1, 200_000, len(kinds))]
            types = {
                name: TypeView(1, 0, 0, count * 90, 1_234.0, Counts(count, count - 7, 4, 2, 1), {"no_id": 1})
                for name, count in zip(kinds, rows, strict=True)
            }
            written = (hour_end(hour) + timedelta(minutes=20)).isoformat()
            run = RunRecord(f"scheduled__{hour}", "scheduled", written, tries=sum(rows), used=0.4)
            view = HourView(hour, 1, "0123456789abcdef", written, True, types, runs=(run,))
            weeks.setdefault(week_of(hour), {})[hour] = view
    for date, hours in weeks.items():
        target.put(BUCKET, LAYOUT.overview(date), Week(date, hours).as_bytes())


def day(target: LocalStore, date: str, events: int, *, has_wanted: bool) -> None:
    """Puts the compacted state of a day with so many events; the wanted one may be among those of its last hour."""
    memory = MemoryObjects(BUCKET)
    ledger, each = Ledger(memory, LAYOUT), events // (24 * len(TYPES))
    rng = np.random.default_rng(int(date.replace("-", "")))
    for number in range(24):
        for event_type in TYPES:
            key = f"in/event_type={event_type}/date={date}-{number:02}/a.parquet"
            file = SourceFile("braze", key, "etag", each * 90)
            prints = rng.integers(0, 1 << 63, (each, 2), np.uint64) * np.uint64(2)
            if has_wanted and number == 23 and event_type == TYPES[0]:
                prints[each // 2] = fingerprints(pa.array([WANTED]), event_type)[0]
            claim = ledger.claim(file.slice, "a task")
            assert isinstance(claim, Claim)
            account = Account({event_type: Counts(each, each)})
            state = FileState(file, claim.head.next_number, "done", RowSet([(0, each)]), account)
            finish(claim, [state], [placed(prints, state.number, np.arange(each))])
    assert Compaction(memory, LAYOUT, quiet=-1.0).compact(date)
    for key, body in memory.contents.items():
        target.put(BUCKET, key, body)


def timed(ask: Callable[[], Any], target: LocalStore) -> tuple[float, int]:
    """How many seconds a question takes, and how many requests to S3."""
    before, began = target.counts(), time.perf_counter()
    ask()
    return time.perf_counter() - began, (target.counts() - before).total()


def first_view(target: LocalStore) -> tuple[float, int]:
    """The median of several first views of a month, each by a page that was asked before and remembers nothing."""
    # Airflow looks for its home when it is imported.
    from currents_airflow.connectors import all_connectors  # noqa: PLC0415
    from currents_airflow.page.access import permitted  # noqa: PLC0415
    from currents_airflow.page.app import make_app  # noqa: PLC0415

    app = make_app()
    app.dependency_overrides[permitted] = lambda: all_connectors().valid
    client = TestClient(app)

    def ask() -> None:
        answer = client.get(f"/c/{NAME}/")
        assert answer.status_code == 200, answer.text
        assert answer.text.count(": complete, ") >= 30 * 24

    with patch("currents_airflow.page.hour_routes.live_runs", lambda _: []):
        ask()
        found = [timed(ask, target) for _ in range(VIEWS)]
    return median(seconds for seconds, _ in found), max(requests for _, requests in found)


def search(target: LocalStore) -> tuple[float, int]:
    """The search for the wanted event, by a process of its own."""
    from currents_airflow.page.bounded import answer  # noqa: PLC0415

    def ask() -> None:
        [found] = answer("find", "--connector", NAME, "--json", "--", WANTED)
        assert [place["row"] for place in found["places"]] == [EVENTS // DAYS // (24 * len(TYPES)) // 2]

    return timed(ask, target)


def main() -> None:
    """Prints the table."""
    with store(ANSWER_SECONDS) as target, tempfile.TemporaryDirectory() as folder:
        place = {"bucket": BUCKET, "aws_conn_id": None}
        connector = {
            "name": NAME,
            "source": {**place, "prefix": "in/"},
            "destination": {"kind": "event_bus", "name": "bus", "region": "us-east-1", "aws_conn_id": None},
            "state": place,
        }
        path = Path(folder, "connectors.yaml")
        path.write_text(yaml.safe_dump({"connectors": [connector]}))
        os.environ |= {
            "CURRENTS_CONNECTORS": str(path),
            "AIRFLOW_HOME": folder,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "AWS_ENDPOINT_URL": target.url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        overview(target)
        views = first_view(target)
        for number, date in enumerate(dates()):
            # An old one has it; the oldest would be out of reach once midnight has passed.
            day(target, date, EVENTS // DAYS, has_wanted=number == DAYS - 2)
            print(f"{number + 1} of {DAYS} days", file=sys.stderr)
        searches = [search(target) for _ in range(3)]
    table = Table("", "seconds", "at most", "requests\nto S3", "at most", box=box.SIMPLE_HEAD)
    table.add_row(f"first view of {DAYS} days, {DAYS * 24} hours", f"{views[0]:.2f}", "1", f"{views[1]}", "10")
    seconds, requests = median(each for each, _ in searches), max(each for _, each in searches)
    table.add_row(f"one event of {EVENTS:,} in {DAYS} days", f"{seconds:.1f}", "10", f"{requests:,}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
