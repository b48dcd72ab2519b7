from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from currents_core.books.account import Counts
from currents_core.books.index import Index
from currents_core.books.overview import HourView, TypeView
from currents_core.books.run_record import RunPass, RunRecord
from currents_core.showing.calendar import (
    STATES,
    Cell,
    Looks,
    State,
    Stretch,
    newest_hour,
    stretches,
    type_state,
    worst,
)

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
HOUR = "2026-11-23-05"
SENT = Counts(read=1, sent=1)


def looks(view: HourView | None = None, index: Index | None = None, **changes: Any) -> Looks:
    told = {"views": {HOUR: view} if view else {}, "index": index, "now": NOW, "delay": timedelta(minutes=20)}
    return Looks(**told | changes)


def accounted(view: TypeView | None = None, *, complete: bool = True) -> HourView:
    return HourView(HOUR, written="2026-11-23T06:20:00+00:00", complete=complete, types={"a": view} if view else {})


@pytest.mark.parametrize(
    ("view", "state"),
    [
        (accounted(TypeView(delivered=1, counts=SENT)), "complete"),
        (accounted(TypeView(delivered=1, open=1, counts=SENT), complete=False), "open"),
        (accounted(TypeView(open=1, failed=1), complete=False), "failed"),
        (accounted(TypeView(delivered=1, counts=SENT), complete=False), "open"),
        (accounted(), "empty"),
    ],
)
def test_an_hour_that_was_accounted_for_is_what_its_account_says(view: HourView, state: State) -> None:
    assert looks(view, Index(first="2026-11-01-00")).cell(HOUR).state == state


@pytest.mark.parametrize("view", [accounted(TypeView(delivered=1, counts=SENT)), accounted()])
@pytest.mark.parametrize("index", [None, Index(first=HOUR), Index(first="2026-11-23-06")])
def test_an_hour_that_was_accounted_for_before_its_end_may_have_more(view: HourView, index: Index | None) -> None:
    early = replace(view, written="2026-11-23T05:59:59+00:00")
    for minutes, state in ((50, "waiting"), (51, "late")):
        now = datetime(2026, 11, 23, 6, tzinfo=UTC) + timedelta(minutes=minutes)
        assert looks(early, index, now=now).cell(HOUR).state == state
    assert looks(early, index, delivering={HOUR}).cell(HOUR).state == "delivering"
    assert looks(early, Index(first=HOUR, begun=frozenset({HOUR}))).cell(HOUR).state == "open"


@pytest.mark.parametrize(
    ("index", "state"),
    [
        (None, "none"),
        (Index(), "none"),
        (Index(first="2026-11-23-06"), "none"),
        (Index(first=HOUR, begun=frozenset({HOUR})), "open"),
        (Index(first=HOUR), "late"),
    ],
)
def test_an_hour_without_an_account_is_what_the_index_says(index: Index | None, state: State) -> None:
    assert looks(None, index).cell(HOUR).state == state


@pytest.mark.parametrize(("minutes", "state"), [(0, "waiting"), (50, "waiting"), (51, "late")])
def test_an_hour_is_late_once_its_run_should_have_begun_half_an_hour_ago(minutes: int, state: State) -> None:
    now = datetime(2026, 11, 23, 6, tzinfo=UTC) + timedelta(minutes=minutes)
    assert looks(None, Index(first=HOUR), now=now).cell(HOUR).state == state


def test_an_hour_that_a_run_is_at_is_being_delivered_unless_something_worse_is_known() -> None:
    assert looks(accounted(complete=False), delivering={HOUR}).cell(HOUR).state == "delivering"
    failed = accounted(TypeView(open=1, failed=1), complete=False)
    assert looks(failed, delivering={HOUR}).cell(HOUR).state == "failed"


def test_an_hour_is_missing_only_where_something_before_it_is_known_or_it_was_just_due() -> None:
    old, index = "2026-11-10-05", Index(first="2026-10-01-00")
    assert looks(None, index).cell(old).state == "none"
    before = HourView("2026-11-10-04", written="t", complete=True)
    assert looks(None, index, views={before.hour: before}).cell(old).state == "late"
    assert looks(None, index).cell(HOUR).state == "late"


def test_a_replay_marks_an_hour_and_changes_no_state() -> None:
    cell = looks(HourView(HOUR, replays=(RunRecord("r", "replay", "t"),))).cell(HOUR)
    assert (cell.is_replayed, cell.state) == (True, "none")


def test_a_replay_of_an_hour_that_nobody_keeps_makes_no_other_hour_late() -> None:
    old = "2026-11-10-05"
    replayed = HourView(old).with_replay(RunPass(RunRecord("r", "replay", "t")))
    views = {old: replayed, HOUR: accounted(TypeView(delivered=1, counts=SENT))}
    found = looks(None, Index(first="2026-11-01-00"), views=views)
    assert [found.cell(hour).state for hour in (old, "2026-11-15-00", HOUR)] == ["none", "none", "complete"]


def test_cells_are_all_hours_up_to_the_last_oldest_first() -> None:
    cells = looks().cells(HOUR, 48)
    assert (cells[0].hour, cells[-1].hour, len(cells)) == ("2026-11-21-06", HOUR, 48)
    assert [cell.hour for cell in looks().cells(HOUR, 1)] == [HOUR]


def test_the_worst_of_several_is_what_to_look_at_first() -> None:
    assert worst({"complete", "open", "failed"}) == "failed"
    assert worst({"complete", "empty"}) == "complete"
    assert worst(set()) == "none"
    assert list(STATES)[:2] == ["failed", "late"]


def test_an_event_type_has_a_state_of_its_own() -> None:
    views = [TypeView(open=1, failed=1), TypeView(open=1, delivered=1), TypeView(delivered=1), TypeView(counts=SENT)]
    assert [type_state(view) for view in (*views, TypeView())] == ["failed", "open", "complete", "complete", "empty"]


def test_the_newest_hour_is_the_last_one_that_is_over() -> None:
    assert newest_hour(NOW) == "2026-11-23-08"


def test_hours_in_a_row_in_the_same_state_are_one_stretch_the_newest_first() -> None:
    states: list[State] = ["late", "late", "complete", "late", "failed", "failed", "complete"]
    cells = [Cell(str(number), state) for number, state in enumerate(states)]
    assert stretches(cells, ("late", "failed")) == [
        Stretch("failed", "4", "5", 2),
        Stretch("late", "3", "3", 1),
        Stretch("late", "0", "1", 2),
    ]
