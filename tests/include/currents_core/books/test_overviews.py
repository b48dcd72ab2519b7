from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from currents_aws.memory import MemoryObjects
from currents_core.books.compact import QUIET_SECONDS, Compaction
from currents_core.books.layout import Layout
from currents_core.books.manifests import Manifests
from currents_core.books.overviews import Overviews
from currents_core.books.run_record import RunPass, RunRecord
from currents_core.errors import ConflictError, SetupError, TransientError
from currents_core.ports import Version
from tests.tools.house import HOUR, NOW, OPEN, House, table
from tests.tools.manifests import write_manifest

EARLIER, NEXT_WEEK = "2026-11-22-23", "2026-11-30-00"


class Seen(House):
    """A house whose hours are looked at."""

    def __init__(self, state: MemoryObjects | None = None) -> None:
        super().__init__()
        self.keep_state_in(state or self.state)
        self.manifests = Manifests(self.state, Layout(), self.crew)
        self.overviews = Overviews(self.state, Layout(), self.crew, random.Random(1))

    def export(self, hour: str, *ids: str | None) -> None:
        """Delivers a file of an hour and accounts for it."""
        if ids:
            self.deliver(self.put(OPEN, f"{ids}.parquet", table(list(ids)), hour))
        write_manifest(self.manifests, hour, self.ledger, NOW + timedelta(hours=1))


def test_it_takes_in_the_manifests_of_the_hours_that_are_asked_for() -> None:
    house = Seen()
    for hour in (EARLIER, HOUR, NEXT_WEEK):
        house.export(hour, "x", None)
    house.overviews.catch_up(HOUR, HOUR)
    assert list(house.overviews.between(EARLIER, NEXT_WEEK)) == [HOUR]
    house.overviews.catch_up(EARLIER, NEXT_WEEK)
    found = house.overviews.between(EARLIER, NEXT_WEEK)
    assert list(found) == [EARLIER, HOUR, NEXT_WEEK]
    [view] = found[HOUR].types.values()
    assert (view.delivered, view.open, view.counts.sent, view.codes) == (1, 0, 1, {"no_id": 1})
    assert view.lag == 3_600
    assert len([key for key in house.state.contents if key.startswith("overview/")]) == 3


def test_what_it_has_already_is_not_read_again() -> None:
    class Noting(MemoryObjects):
        def read_version(self, key: str) -> Version | None:
            asked.append(key)
            return super().read_version(key)

    asked: list[str] = []
    house = Seen(Noting())
    house.export(HOUR, "x")
    house.overviews.catch_up(HOUR, HOUR)
    before = dict(house.state.contents)
    asked.clear()
    house.overviews.catch_up(EARLIER, HOUR)
    assert asked == [Layout().overview("2026-11-23")]
    assert house.state.contents == before


def test_the_lag_is_of_when_the_last_file_came() -> None:
    house = Seen()
    house.export(HOUR, "x")
    write_manifest(house.manifests, HOUR, house.ledger, NOW + timedelta(hours=5))
    house.overviews.catch_up(HOUR, HOUR)
    [first] = house.overviews.between(HOUR, HOUR)[HOUR].types.values()
    house.deliver(house.put(OPEN, "late.parquet", table(["y"]), HOUR))
    write_manifest(house.manifests, HOUR, house.ledger, NOW + timedelta(hours=9))
    house.overviews.catch_up(HOUR, HOUR)
    [later] = house.overviews.between(HOUR, HOUR)[HOUR].types.values()
    assert first.lag == 3_600, "nothing came since"
    assert later.lag == 9 * 3_600


def test_days_that_were_compacted_before_there_was_an_overview_are_filled_in_once() -> None:
    house = Seen()
    house.export(EARLIER, "x")
    house.export(HOUR, "y")
    house.crew.slept += 2 * QUIET_SECONDS
    assert Compaction(house.state, Layout(), house.crew).compact("2026-11-22")
    asked: list[str] = []

    def read(hour: str) -> dict[str, Any] | None:
        asked.append(hour)
        return house.manifests.read(hour)

    house.overviews.fill(read, since="2026-11-23")
    assert asked == []
    house.overviews.fill(read, since="2026-11-22")
    assert len(asked) == 24
    assert list(house.overviews.between(EARLIER, HOUR)) == [EARLIER]
    house.overviews.fill(read, since="2026-11-22")
    assert asked.count(EARLIER) == 1, "what is known is not asked for again"


def test_a_replay_is_noted_in_each_hour() -> None:
    house = Seen()
    run = RunRecord("again", "replay", "t", reason="lost")
    house.overviews.note_replay([EARLIER, HOUR, NEXT_WEEK], RunPass(run))
    found = house.overviews.between(EARLIER, NEXT_WEEK)
    assert [(view.replays, view.is_accounted) for view in found.values()] == [((run,), False)] * 3


def test_two_runs_that_write_a_week_at_the_same_time_both_find_room() -> None:
    class Busy(MemoryObjects):
        others = 3

        def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
            left, self.others = self.others, 0
            if left:
                Overviews(self, Layout()).note_replay([HOUR], RunPass(RunRecord(f"other {left}", "replay", "t")))
                self.others = left - 1
            return super().write_version(key, body, replaces)

    house = Seen(Busy())
    house.overviews.note_replay([HOUR], RunPass(RunRecord("own", "replay", "t")))
    [view] = house.overviews.between(HOUR, HOUR).values()
    assert {each.run for each in view.replays} == {"own", "other 3", "other 2", "other 1"}


def test_who_is_never_first_is_told() -> None:
    class Full(MemoryObjects):
        tried = 0

        def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
            self.tried += 1
            raise ConflictError("another was first")

    house, store = Seen(), Full()
    with pytest.raises(TransientError, match="another was first"):
        Overviews(store, Layout(), house.crew, random.Random(1)).note_replay(
            [HOUR], RunPass(RunRecord("own", "replay", "t"))
        )
    assert store.tried == 12


def test_an_hour_that_is_known_hides_no_other_of_its_day() -> None:
    house = Seen()
    house.export(EARLIER, "x")
    house.crew.slept += 2 * QUIET_SECONDS
    assert Compaction(house.state, Layout(), house.crew).compact("2026-11-22")
    house.overviews.note_replay(["2026-11-22-05", EARLIER], RunPass(RunRecord("r", "replay", "t")))
    house.overviews.fill(house.manifests.read, since="2026-11-22")
    assert house.overviews.between(EARLIER, EARLIER)[EARLIER].is_accounted


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"no week", r"overview/.*damaged .*, or remove it, and the next run"), (b'{"format": 99}', "a newer version")],
)
def test_a_week_that_cannot_be_read_is_no_empty_one_and_stays_as_it_is(body: bytes, told: str) -> None:
    house = Seen()
    house.export(HOUR, "x")
    key = Layout().overview("2026-11-23")
    house.state.write(key, body)
    for use in (house.overviews.between, house.overviews.catch_up):
        with pytest.raises(SetupError, match=told):
            use(HOUR, HOUR)
    with pytest.raises(SetupError, match=told):
        house.overviews.note_replay([HOUR], RunPass(RunRecord("again", "replay", "t")))
    assert house.state.contents[key] == body


def test_a_week_that_somebody_removed_has_all_its_hours_again() -> None:
    house = Seen()
    before, after = "2026-11-23-00", "2026-11-29-23"
    for hour in (EARLIER, before, HOUR, after, NEXT_WEEK):
        house.export(hour, "x")
    house.overviews.catch_up(HOUR, HOUR)
    assert list(house.overviews.between(EARLIER, NEXT_WEEK)) == [before, HOUR, after]


def test_a_damaged_manifest_and_what_is_none_keep_no_other_from_being_taken_in() -> None:
    house = Seen()
    later = "2026-11-23-09"
    for hour in (HOUR, later):
        house.export(hour, "x")
    house.overviews.catch_up(HOUR, later)
    before = house.overviews.between(HOUR, HOUR)
    for hour in (HOUR, later):
        house.export(hour, "y")
    for body in (b'{"half": ', b"{}", b'{"seq": 9, "written_at": 3}'):
        house.state.write(Layout().manifest(HOUR), body)
        house.state.write(f"{Layout().manifest(HOUR)}.bak", b"somebody's")
        house.overviews.catch_up(HOUR, later)
        assert house.overviews.between(HOUR, HOUR) == before
    assert house.overviews.between(later, later)[later].counts.sent == 2
