from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_aws.memory import MemoryObjects
from currents_core.books.compact import QUIET_SECONDS, Compaction
from currents_core.books.layout import Layout, is_head
from currents_core.books.ledger import Ledger
from currents_core.books.manifests import Manifests
from currents_core.books.overviews import Overviews
from currents_core.books.retention import Retention
from currents_core.books.run_record import RunPass, RunRecord
from currents_core.errors import SetupError
from currents_core.file_key import by_slice
from currents_core.setup.settings import State
from tests.tools.house import HOUR, NOW, OPEN, House, table
from tests.tools.manifests import write_manifest

DAY = 86_400.0
HOURS = ["2026-11-20-23", "2026-11-21-00", "2026-11-21-23", HOUR]


class Kept(House):
    """A house with the state of four hours on three days, one of which is compacted."""

    def __init__(self) -> None:
        super().__init__()
        self.files = [self.put(OPEN, "a.parquet", table(["x", None]), hour) for hour in HOURS]
        self.deliver(*self.files)
        for hour in HOURS:
            write_manifest(Manifests(self.state, Layout(), self.crew), hour, self.ledger, NOW)
        for kind in ("ledger", "ids", "dead_letters", "plans", "oversized"):
            self.state.write(f"{kind}/date={HOURS[0]}/old", b"")
        self.crew.slept += 2 * QUIET_SECONDS
        assert Compaction(self.state, Layout(), self.crew).compact("2026-11-21")

    def retention(self, first_date: str, state: MemoryObjects | None = None) -> Retention:
        return Retention(state or self.state, Layout(), first_date, 30 * DAY, self.crew)

    def dates(self) -> set[str]:
        return {key.partition("date=")[2][:10] for key in self.state.contents}


def test_days_end_whole_the_oldest_first() -> None:
    house = Kept()
    kept = house.dates()
    assert house.retention("2026-11-20").end_next() is None
    assert house.dates() == kept == {"2026-11-20", "2026-11-21", "2026-11-23"}
    retention = house.retention("2026-11-22")
    assert [retention.end_next() for _ in range(3)] == ["2026-11-20", "2026-11-21", None]
    assert house.dates() == {"2026-11-23"}
    assert house.deliver(house.files[-1]).read == 0


def test_an_overview_stays_as_long_as_the_books_of_a_replay_that_it_tells_of() -> None:
    house = Kept()
    overviews = Overviews(house.state, Layout(), house.crew)
    overviews.note_replay([HOURS[0]], RunPass(RunRecord("again", "replay", "2026-11-23T08:00:00+00:00")))
    retention = house.retention("2026-12-20")
    retention.end_next()
    assert overviews.between(HOURS[0], HOURS[0])[HOURS[0]].replays
    house.crew.slept += 31 * DAY
    retention.end_next()
    assert overviews.between(HOURS[0], HOURS[0]) == {}


def test_heads_go_before_the_pages_that_they_name() -> None:
    class Noting(MemoryObjects):
        def delete(self, key: str) -> None:
            gone.append(key)
            super().delete(key)

    gone: list[str] = []
    house = Kept()
    state = Noting("state", house.state.contents)
    house.retention("2026-11-22", state).end_next()
    assert [is_head(key) for key in gone] == [True, *[False] * (len(gone) - 1)]
    gone.clear()
    house.retention("2026-11-22", state).end_next()
    assert gone[0].endswith("/index.json.gz")


def test_what_came_of_an_hour_that_has_ended_is_refused_by_name() -> None:
    house = Kept()
    house.ledger = Ledger(house.state, Layout(), crew=house.crew, first_date="2026-11-22")
    late = house.files[1]
    for ask in (
        lambda: house.deliver(late),
        lambda: house.ledger.heads(late.hour),
        lambda: house.ledger.head(late.slice),
        lambda: house.ledger.heads_of([late.slice]),
    ):
        with pytest.raises(SetupError, match=r"the state of 2026-11-21-00 has ended: state\.retention_days keeps"):
            ask()
    assert house.ids() == {"x": len(HOURS)}
    assert house.deliver(house.files[-1]).read == 0


def test_a_replay_ends_once_nothing_was_changed_in_it_for_long_enough() -> None:
    house = Kept()
    books = Layout().of_run("manual")
    replay = house.delivery(ledger=Ledger(house.state, books, crew=house.crew))
    replay.deliver(by_slice(house.files[:1]))
    retention = house.retention("2026-11-20")
    retention.end_next()
    assert [key for key in house.state.contents if key.startswith(books.root)], "however old its hours are"
    house.crew.slept += 30 * DAY + 1
    retention.end_next()
    assert not [key for key in house.state.contents if key.startswith(books.root)]


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(3, 1_000))
def test_the_first_date_is_as_many_days_ago_as_are_kept(now: datetime, days: int) -> None:
    first = State(bucket="state", retention_days=days).first_date(now.replace(tzinfo=UTC))
    assert (now.date() - datetime.fromisoformat(first).date()).days == days
    assert State(bucket="state").first_date(now.replace(tzinfo=UTC)) == ""
