from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.errors import SetupError
from currents_core.hour import format_hour, hours_back, parse_hour
from currents_core.setup.run_request import MOST_HOURS, form_request, run_request
from tests.tools.house import HOUR, connector


def test_a_scheduled_run_exports_its_hour_and_looks_back() -> None:
    found = run_request({}, HOUR, connector(lookback_hours=2), is_scheduled=True)
    assert (found.hours, found.past) == ((HOUR,), ("2026-11-23-06", "2026-11-23-07"))
    assert (found.mark, found.pace, found.is_partial, found.is_replay) == ("live", 1.0, False, False)


@given(st.datetimes(datetime(2020, 1, 1), datetime(9998, 11, 1)), st.integers(0, MOST_HOURS - 1))
def test_a_stretch_holds_every_hour_once_in_order(start: Any, more: int) -> None:
    last = format_hour(start.replace(tzinfo=parse_hour(HOUR).tzinfo))
    first = [*hours_back(last, more), last][0]
    found = run_request({"hour": first, "until": last}, first, connector(lookback_hours=0)).hours
    assert list(found) == [*hours_back(last, more), last]


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"until": "2026-11-23-09"}, "`until` ends a stretch of hours that `hour` begins; fill in `hour`"),
        (
            {"hour": HOUR, "until": "2026-11-23-07"},
            "(2026-11-23-07) is before `hour` (2026-11-23-08); swap them",
        ),
        (
            {"hour": HOUR, "until": "2026-12-24-08"},
            "745 hours, but one run takes at most 744; use Airflow's backfill",
        ),
        ({"hour": HOUR, "until": "2026-11-23-25"}, "'2026-11-23-25' is not a valid hour"),
        ({"replay": True}, "give a `reason` to confirm"),
        ({"replay": True, "reason": "  "}, "give a `reason` to confirm"),
        ({"reason": "because"}, "`reason` is for replays only"),
        ({"hour": "2026-11-23-07"}, "this run already has its hour, 2026-11-23-08; leave `hour` and `until` empty"),
    ],
)
def test_what_does_not_go_together_is_told_with_the_way_out(params: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SetupError, match=re.escape(complaint)):
        run_request(params, HOUR, connector())


def test_a_backfill_has_a_run_for_each_hour_and_needs_no_stretch() -> None:
    with pytest.raises(SetupError, match="leave `hour` and `until` empty"):
        run_request({"until": "2026-11-23-09"}, HOUR, connector(), is_backfill=True)
    found = run_request({"hour": HOUR}, HOUR, connector(lookback_hours=2), is_backfill=True)
    assert (found.hours, found.past) == ((HOUR,), ()), "what lies before has a run of its own, or is not asked for"


@pytest.mark.parametrize(
    ("params", "is_backfill", "settings", "mark"),
    [
        ({}, False, {}, "live"),
        ({}, True, {}, "backfill"),
        ({"replay": True, "reason": "why"}, False, {}, "replay"),
        ({"replay": True, "reason": "why"}, True, {"mark_backfills": False}, "live"),
    ],
)
def test_events_that_are_no_live_ones_are_marked(
    params: dict[str, Any], is_backfill: bool, settings: dict[str, Any], mark: str
) -> None:
    assert run_request(params, HOUR, connector(**settings), is_backfill=is_backfill).mark == mark


def test_only_scheduled_runs_look_back() -> None:
    by_hand = run_request({}, HOUR, connector())
    replay = run_request({"replay": True, "reason": "why"}, HOUR, connector())
    assert (by_hand.past, replay.past) == ((), ())
    assert len(run_request({}, HOUR, connector(), is_scheduled=True).past) == 72


def test_an_hour_that_has_not_begun_is_refused() -> None:
    request = run_request({"hour": HOUR, "until": "2026-11-23-10"}, HOUR, connector())
    request.require_begun(parse_hour("2026-11-23-10"))
    with pytest.raises(SetupError, match=re.escape("the hour 2026-11-23-10 has not begun: it is 2026-11-23-09 in UTC")):
        request.require_begun(parse_hour("2026-11-23-10") - timedelta(seconds=1))


def test_a_pattern_that_takes_no_event_type_is_refused_with_the_nearest() -> None:
    known = ["users.messages.email.Open", "users.messages.sms.Delivery"]
    run_request({"event_types": ["*.Open", known[1]]}, HOUR, connector()).require_known(known)
    with pytest.raises(SetupError, match=re.escape("no event type users.messages.email.Opne; correct")) as told:
        run_request({"event_types": ["users.messages.email.Opne"]}, HOUR, connector()).require_known(known)
    assert str(told.value).endswith("did you mean users.messages.email.Open?")
    with pytest.raises(SetupError, match=r"no event type x; correct the event types$"):
        run_request({"event_types": [known[0], "x"]}, HOUR, connector()).require_known(known)


@pytest.mark.parametrize(
    ("patterns", "event_type", "wanted"),
    [
        ([], None, True),
        ([], "a.b", True),
        (["a.*"], "a.b", True),
        (["a.*", "c"], "c", True),
        (["a.*"], "c", False),
        (["*"], None, False),
    ],
)
def test_patterns_choose_event_types(patterns: list[str], event_type: str | None, wanted: bool) -> None:
    assert run_request({"event_types": patterns}, HOUR, connector()).wants(event_type) is wanted


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("hour", 5, "`hour` is 5; write a text"),
        ("codes", 5, "`codes` is 5; write a list of texts"),
        ("max_events", "5", "`max_events` is '5'; write a whole number"),
        ("max_events", True, "`max_events` is True; write a whole number"),
    ],
)
def test_a_field_of_another_type_is_a_fault_with_a_remedy(field: str, value: Any, complaint: str) -> None:
    """Whoever triggers through the API may give any JSON."""
    with pytest.raises(SetupError, match=complaint):
        form_request({"hour": HOUR, field: value}, HOUR)


@pytest.mark.parametrize("hour", ["9999-12-31-23", "1999-12-31-23"])
def test_hours_at_the_ends_of_the_calendar_are_refused(hour: str) -> None:
    with pytest.raises(SetupError, match=f"there are no files of {hour}|'{hour}' is not a valid hour"):
        form_request({"hour": hour}, hour)
