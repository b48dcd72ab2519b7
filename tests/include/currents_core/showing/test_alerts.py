from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from currents_core.books.account import Counts
from currents_core.books.index import Index
from currents_core.books.overview import HourView, TypeView
from currents_core.hour import hours_back
from currents_core.setup.settings import Notify
from currents_core.showing.alerts import alerts
from currents_core.showing.calendar import Looks

HOUR = "2026-11-23-08"
NOTICE = {"notifier": "a.b.C"}


def notify(**told: Any) -> Notify:
    return Notify.model_validate({"on_alert": [NOTICE], **told})


def view(hour: str, *, read: int = 1_000, letters: int = 0, drift: int = 0, complete: bool = True) -> HourView:
    counts = Counts(read=read, sent=read - letters, dead_lettered=letters)
    kind = TypeView(delivered=1, counts=counts, codes={"no_id": letters} if letters else {})
    return HourView(hour, written="t", complete=complete, types={"a": kind}, drift=drift)


def looks(*views: HourView) -> Looks:
    now = datetime(2026, 11, 23, 9, 20, tzinfo=UTC)
    return Looks({each.hour: each for each in views}, Index(first="2026-11-01-00"), now, timedelta(minutes=20))


def test_a_rate_of_dead_letters_above_the_threshold_is_told_with_its_codes() -> None:
    some = looks(view(HOUR, letters=20))
    [line] = alerts(notify(dead_letter_rate=0.01), some, HOUR, [HOUR])
    assert line == f"{HOUR}: 2.0% of 1,000 rows became dead letters (20 no_id), more than 1.0%"
    assert alerts(notify(dead_letter_rate=0.02), some, HOUR, [HOUR]) == []
    assert alerts(notify(dead_letter_rate=0.01), some, HOUR, []) == [], "another run has told of it"
    assert alerts(notify(dead_letter_rate=0.01), looks(view(HOUR, read=99, letters=99)), HOUR, [HOUR]) == []


def test_drift_is_told_when_it_is_more_than_in_the_hour_before() -> None:
    [before] = hours_back(HOUR, 1)
    told = notify(drift=True)
    assert len(alerts(told, looks(view(HOUR, drift=2)), HOUR, [HOUR])) == 1
    assert len(alerts(told, looks(view(before, drift=1), view(HOUR, drift=2)), HOUR, [HOUR])) == 1
    assert alerts(told, looks(view(before, drift=2), view(HOUR, drift=2)), HOUR, [HOUR]) == []


def test_silence_is_told_once_when_it_has_lasted_so_long() -> None:
    hours = [*hours_back(HOUR, 9), HOUR]
    told, spoken = notify(silent_hours=3), []
    for hour in hours:
        views = [view(each, read=0 if each > hours[4] else 1_000) for each in hours if each <= hour]
        spoken += [(hour, line) for line in alerts(told, looks(*views), hour, [hour])]
    assert spoken == [
        (hours[7], f"nothing from Braze since {hours[4]}, 3 hours; look at the Currents connector in Braze")
    ]


def test_an_hour_that_is_not_complete_is_told_once_after_so_many_hours() -> None:
    hours = [*hours_back(HOUR, 9), HOUR]
    some, told = looks(*(view(each, complete=each != hours[4]) for each in hours)), notify(incomplete_hours=2)
    spoken = [(hour, line) for hour in hours[2:] for line in alerts(told, some, hour, [])]
    [(hour, line)] = spoken
    assert (hour, line.partition(":")[0]) == (hours[6], f"{hours[4]} is not complete after 2 hours")


@pytest.mark.parametrize(
    ("told", "fault"),
    [({"drift": True}, "drift tell nobody"), ({"on_alert": [NOTICE]}, "on_alert is never told of anything")],
)
def test_a_threshold_without_anybody_and_somebody_without_a_threshold_are_faults(
    told: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ValidationError, match=fault):
        Notify.model_validate(told)
