from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from currents_core.books.account import Counts
from currents_core.books.index import Index
from currents_core.books.overview import HourView, TypeView
from currents_core.hour import hour_end, hours_back
from currents_core.setup.settings import Notify
from currents_core.showing.alerts import ALERT_HOURS, Alert
from currents_core.showing.alerts import alerts as all_alerts
from currents_core.showing.calendar import Looks

HOUR = "2026-11-23-08"
NOTICE = {"notifier": "a.b.C"}


def notify(**told: Any) -> Notify:
    return Notify.model_validate({"on_alert": [NOTICE], **told})


def view(hour: str, *, read: int = 1_000, letters: int = 0, drift: int = 0, complete: bool = True) -> HourView:
    counts = Counts(read=read, sent=read - letters, dead_lettered=letters)
    kind = TypeView(delivered=int(read > 0), counts=counts, codes={"no_id": letters} if letters else {})
    written = (hour_end(hour) + timedelta(minutes=10)).isoformat()
    return HourView(hour, written=written, complete=complete, types={"a": kind}, drift=drift)


FIRST = "2026-11-19-08"


def alerts(notify: Notify, looks: Looks, hour: str) -> list[str]:
    return [each.line for each in found(notify, looks, hour)]


def found(notify: Notify, looks: Looks, hour: str) -> list[Alert]:
    return all_alerts(notify, looks, FIRST, hour)


def knowing(looks: Looks, alerts: Iterable[Alert]) -> Looks:
    """The looks of the next run, once people were told."""
    assert looks.index
    marks = [mark for alert in alerts for mark in alert.marks]
    return replace(looks, index=looks.index.with_told(marks, since=FIRST))


def looks(*views: HourView) -> Looks:
    now = datetime(2026, 11, 23, 9, 20, tzinfo=UTC)
    first = min((each.hour for each in views), default=HOUR)
    return Looks({each.hour: each for each in views}, Index(first=first), now, timedelta(minutes=20))


def test_a_rate_of_dead_letters_above_the_threshold_is_told_with_its_codes() -> None:
    some = looks(view(HOUR, letters=20))
    [line] = alerts(notify(dead_letter_rate=0.01), some, HOUR)
    assert line == f"{HOUR}: 2.0% of 1,000 rows became dead letters (20 no_id), more than 1.0%"
    assert alerts(notify(dead_letter_rate=0.02), some, HOUR) == []
    assert alerts(notify(dead_letter_rate=0.01), looks(view(HOUR, read=99, letters=99)), HOUR) == []


def test_drift_is_told_when_it_is_more_than_in_the_hour_before() -> None:
    [before] = hours_back(HOUR, 1)
    told = notify(drift=True)
    assert len(alerts(told, looks(view(HOUR, drift=2)), HOUR)) == 1
    assert len(alerts(told, looks(view(before, drift=1), view(HOUR, drift=2)), HOUR)) == 2
    [line] = alerts(told, looks(view(before, drift=2), view(HOUR, drift=2)), HOUR)
    assert line.startswith(before)


def test_what_was_told_of_is_told_once() -> None:
    some = looks(view(HOUR, letters=20, drift=2))
    everything = notify(dead_letter_rate=0.01, drift=True)
    first = found(everything, some, HOUR)
    assert len(first) == 2
    assert found(everything, knowing(some, first[:1]), HOUR) == first[1:]
    assert found(everything, knowing(some, first), HOUR) == []


@pytest.mark.parametrize("missing", [0, 1, 5])
def test_silence_is_told_once_when_it_has_lasted_so_long(missing: int) -> None:
    """Also where the run that would have told it first was missing, and some after it."""
    hours = [*hours_back(HOUR, 19), HOUR]
    told, index, spoken = notify(silent_hours=3), looks().index, []
    for hour in hours[:7] + hours[7 + missing :]:
        views = [view(each, read=0 if each > hours[4] else 1_000) for each in hours if each <= hour]
        some = replace(looks(*views), index=index)
        new = found(told, some, hour)
        index = knowing(some, new).index
        spoken += [(hour, each.line) for each in new]
    assert spoken == [
        (hours[7 + missing], f"nothing from Braze since {hours[4]}, 3 hours; look at the Currents connector in Braze")
    ]


def test_where_nothing_was_ever_heard_it_is_told_once_nothing_came_for_as_long_as_runs_look() -> None:
    told, some = notify(silent_hours=3), looks(view(HOUR, read=0))
    assert alerts(told, some, HOUR) == []
    assert some.index
    some = replace(some, index=replace(some.index, first=FIRST))
    [alert] = found(told, some, HOUR)
    assert alert.line == f"nothing from Braze since {FIRST}, or longer; look at the Currents connector in Braze"
    assert found(told, knowing(some, [alert]), "2026-11-23-09") == []


def test_files_that_can_not_be_delivered_are_no_silence_of_braze() -> None:
    hours = [*hours_back(HOUR, 9), HOUR]
    waits = {"a": TypeView(open=3)}
    some = looks(*(replace(view(each), types=waits) if each > hours[2] else view(each) for each in hours))
    assert alerts(notify(silent_hours=6), some, HOUR) == []


def test_silence_that_goes_on_is_told_once_whatever_else_is_told_meanwhile() -> None:
    some = looks(*(view(each, read=0) for each in [*hours_back(HOUR, ALERT_HOURS), HOUR]))
    assert some.index
    told = some.index.with_told(["2026-11-01-08 silence"], "2026-11-01-00").with_told([f"{HOUR} drift"], FIRST)
    assert alerts(notify(silent_hours=6), replace(some, index=replace(told, first="2026-11-01-00")), HOUR) == []


def test_what_nobody_could_be_told_is_told_by_the_next_run_and_what_is_old_is_no_news() -> None:
    some, told = looks(view(HOUR, letters=20), view("2026-11-23-09")), notify(dead_letter_rate=0.01)
    assert len(alerts(told, some, "2026-11-23-09")) == 1
    assert alerts(told, replace(some, now=some.now + timedelta(days=2)), "2026-11-23-09") == []


def test_drift_before_the_first_hour_is_known() -> None:
    before, first = hours_back(HOUR, 2)
    some = looks(view(before, drift=2), view(first, drift=2))
    assert all_alerts(notify(drift=True), some, first, HOUR) == []


@pytest.mark.parametrize("missing", [0, 1, 5])
def test_an_hour_that_is_not_complete_is_told_once_after_so_many_hours(missing: int) -> None:
    hours = [*hours_back(HOUR, 19), HOUR]
    some, told, spoken = (
        looks(*(view(each, complete=each != hours[4]) for each in hours)),
        notify(incomplete_hours=2),
        [],
    )
    for hour in hours[2:6] + hours[6 + missing :]:
        new = found(told, some, hour)
        some = knowing(some, new)
        spoken += [(hour, each.line.partition(":")[0]) for each in new]
    assert spoken == [(hours[6 + missing], f"{hours[4]} is not complete after 2 hours")]


def test_hours_in_a_row_that_are_not_complete_are_told_together() -> None:
    hours = [*hours_back(HOUR, 9), HOUR]
    some = looks(*(view(each, complete=not hours[1] <= each <= hours[5]) for each in hours))
    told = notify(incomplete_hours=2)
    [alert] = found(told, some, hours[5])
    assert alert.line.startswith(f"{hours[1]} to {hours[3]} (3 hours) are not complete after 2 hours: open, files")
    some = knowing(some, [alert])
    assert alerts(told, some, hours[5]) == []
    assert [line.partition(" are")[0] for line in alerts(told, some, HOUR)] == [f"{hours[4]} to {hours[5]} (2 hours)"]


def test_an_hour_that_was_told_of_parts_what_is_told_on_both_sides_of_it() -> None:
    hours = [*hours_back(HOUR, 9), HOUR]
    some = looks(*(view(each, complete=each < hours[1]) for each in hours))
    middle = Alert("", frozenset([f"{hours[4]} incomplete"]))
    lines = alerts(notify(incomplete_hours=2), knowing(some, [middle]), HOUR)
    assert [line.partition(" (")[0] for line in lines] == [f"{hours[1]} to {hours[3]}", f"{hours[5]} to {hours[7]}"]


def test_marks_end_with_the_hours_that_runs_look_at() -> None:
    old, new = hours_back(HOUR, ALERT_HOURS + 1)[0], hours_back(HOUR, ALERT_HOURS)[0]
    index = Index().with_told([f"{old} drift", f"{new} drift"], new)
    assert index.told == {f"{new} drift"}


@pytest.mark.parametrize(
    ("told", "fault"),
    [({"drift": True}, "drift tell nobody"), ({"on_alert": [NOTICE]}, "on_alert is never told of anything")],
)
def test_a_threshold_without_anybody_and_somebody_without_a_threshold_are_faults(
    told: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ValidationError, match=fault):
        Notify.model_validate(told)
