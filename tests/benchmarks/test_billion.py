"""The paper on a billion events a day: its arithmetic, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.billion import Load, Measured, Need, classic_need, custom_need, regions

LOAD = Load()
MEASURED = Measured(classic=20.0, custom=10.0, alone=50_000, reads=1.1, writes=0.1, task=3.6)


def test_the_rate_is_that_of_the_busiest_hour_in_half_an_hour() -> None:
    assert pytest.approx(11_574.07, abs=0.01) == LOAD.mean
    assert pytest.approx(4 * LOAD.mean) == LOAD.rate


def test_a_classic_bus() -> None:
    need = classic_need(LOAD, MEASURED)
    assert need.requests == pytest.approx(4_629.6, abs=0.1)
    # Half of the quota is the exporter's.
    assert need.request_quota == pytest.approx(9_259.3, abs=0.1)
    assert need.event_quota is None
    # 46,296 events a second at 20 µs are 0.926 cores, of which each may be busy for six tenths.
    assert need.cores == pytest.approx(1.543, abs=0.001)
    # 202 tasks an hour at 3.6 s are 0.202 cores.
    assert need.airflow == pytest.approx(0.337, abs=0.001)
    assert need.workers == 1
    assert need.bus_dollars == 1_000


def test_a_custom_bus_is_billed_by_the_kilobyte() -> None:
    small, large = (custom_need(replace(LOAD, kilobytes=size), MEASURED) for size in (1, 2))
    assert (small.bus_dollars, large.bus_dollars) == (200, 400)
    assert small.request_quota is None
    assert small.event_quota == pytest.approx(92_592.6, abs=0.1)
    assert small.requests == pytest.approx(463, abs=0.1)
    assert small.cores == pytest.approx(classic_need(LOAD, MEASURED).cores / 2)


def test_a_custom_bus_takes_fewer_of_larger_events_a_request() -> None:
    need = custom_need(replace(LOAD, kilobytes=100), MEASURED)
    assert need.requests == pytest.approx(LOAD.rate / 9)


def test_requests_to_s3() -> None:
    need = classic_need(LOAD, MEASURED)
    files = 66_666.7 + 94 * 288
    assert need.reads == pytest.approx(files * 1.1, rel=1e-6)
    # Listings of the types and of the window, and two checkpoints of two objects a second of each of 4 tasks.
    listings = 24 * (94 + files / 24 * 73 / 1_000)
    assert need.writes == pytest.approx(files * 0.1 + listings + 24 * 1_800 * 2 * 2 * 4, rel=1e-6)
    assert need.s3_dollars == pytest.approx(need.reads * 4e-7 + need.writes * 5e-6)


def test_the_largest_event_type_is_one_task() -> None:
    # 83.3 million events in the hour, three tenths of them at 50,000 a second.
    assert classic_need(LOAD, MEASURED).largest_minutes == pytest.approx(8.33, abs=0.01)


def test_the_quotas_to_ask_for() -> None:
    told = {region: what for region, _, what in regions(classic_need(LOAD, MEASURED))}
    assert told["us-east-1"] == "enough"
    assert set(told.values()) == {"enough", "ask for 9,300"}


@given(st.floats(1e3, 1e11), st.floats(1, 10))
def test_more_events_never_need_less(events: float, factor: float) -> None:
    def needs(load: Load) -> list[Need]:
        return [classic_need(load, MEASURED), custom_need(load, MEASURED)]

    for less, more in zip(needs(Load(events=events)), needs(Load(events=events * factor)), strict=True):
        assert more.dollars >= less.dollars
        assert more.workers >= less.workers
        assert more.requests >= less.requests
