from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.errors import SetupError
from currents_core.hour import format_hour, hour_end, hours_back, parse_hour, resolve_hour

moments = st.datetimes(datetime(1971, 1, 1), datetime(9990, 1, 1), timezones=st.just(UTC))


@given(moments)
def test_an_hour_is_named_and_read_back(moment: datetime) -> None:
    assert parse_hour(format_hour(moment)) == moment.replace(minute=0, second=0, microsecond=0)


def test_an_hour_is_named_in_utc() -> None:
    assert format_hour(datetime(2026, 3, 29, 3, 30, tzinfo=timezone(timedelta(hours=2)))) == "2026-03-29-01"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23",
        "2026-11-23-8",
        "2026-11-23-24",
        "2026-13-01-00",
        "x",
        "2026-11-23-08 ",
        "0001-01-01-00",
        "9999-12-31-23",
    ],
)
def test_what_is_no_hour_is_refused_with_the_form_it_should_have(text: str) -> None:
    with pytest.raises(SetupError, match="is not a valid hour; write YYYY-MM-DD-HH"):
        parse_hour(text)


def test_an_hour_is_over_when_the_next_begins() -> None:
    assert hour_end("2026-12-31-23") == parse_hour("2027-01-01-00")


def test_hours_back_cross_days_and_leave_the_hour_itself_out() -> None:
    assert hours_back("2026-03-01-01", 3) == ["2026-02-28-22", "2026-02-28-23", "2026-03-01-00"]
    assert hours_back("2026-03-01-01", 0) == []


def test_the_partition_key_goes_before_the_parameter_and_that_before_the_interval() -> None:
    interval = datetime(2026, 1, 3, 4, 59, tzinfo=UTC)
    assert resolve_hour("2026-01-01-00", "2026-01-02-00", interval) == "2026-01-01-00"
    assert resolve_hour(None, "2026-01-02-00", interval) == "2026-01-02-00"
    assert resolve_hour(None, None, interval) == "2026-01-03-04"
    with pytest.raises(SetupError, match="has no hour"):
        resolve_hour(None, None, None)
