from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.sending.pacer import Pacer


class Clock:
    """A clock that only sleeping and ``pass_time`` move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


def pacer(clock: Clock, requests: float | None, entries: float | None) -> Pacer:
    return Pacer(requests, entries, clock=clock)


def acquire(bucket: Pacer, clock: Clock, entries: int) -> None:
    while (wait := bucket.take(entries)) > 0:
        clock.pass_time(wait)


@given(st.lists(st.tuples(st.integers(1, 10), st.floats(0, 0.3)), min_size=1, max_size=200))
def test_no_second_holds_more_than_the_budget_and_its_burst(calls: list[tuple[int, float]]) -> None:
    clock = Clock()
    bucket = pacer(clock, 20, 100)
    sent = []
    for entries, idle in calls:
        clock.pass_time(idle)
        acquire(bucket, clock, entries)
        sent.append((clock.now, entries))
    for start, _ in sent:
        window = [entries for at, entries in sent if start <= at < start + 1]
        # The burst of a twentieth of a second, and the request that begins the window.
        assert len(window) <= 20 * 1.05 + 1
        assert sum(window) <= 100 * 1.05 + 10


def test_the_rate_that_is_reached_first_holds() -> None:
    for requests, entries, expected in [(10, None, 10), (None, 50, 5), (10, 50, 5), (4, 1000, 4)]:
        clock = Clock()
        bucket = pacer(clock, requests, entries)
        for _ in range(100):
            acquire(bucket, clock, 10)
        assert round(99 / clock.now, 1) in (expected, expected + 0.1)


def test_without_rates_nothing_waits() -> None:
    clock = Clock()
    bucket = pacer(clock, None, None)
    assert {bucket.take(10) for _ in range(1000)} == {0.0}


def rate_over(bucket: Pacer, clock: Clock, seconds: float) -> float:
    start, count = clock.now, 0
    while clock.now < start + seconds:
        acquire(bucket, clock, 1)
        count += 1
    return count / (clock.now - start)


def test_the_pace_falls_with_the_share_that_is_throttled_and_comes_back_but_never_above() -> None:
    clock = Clock()
    bucket = pacer(clock, 100, None)
    assert 99 <= rate_over(bucket, clock, 2) <= 105
    bucket.answered(90, 0)
    bucket.answered(10, 10)
    # What was under way together counts together.
    bucket.answered(10, 10)
    assert bucket.pace == 1.0
    clock.pass_time(0.5)
    bucket.answered(90, 0)
    assert bucket.pace == pytest.approx(1 - 2 * 20 / 110)
    assert 60 <= rate_over(bucket, clock, 1) <= 70
    bucket.answered(10, 0)
    assert bucket.pace == pytest.approx(0.74, abs=0.01)
    clock.pass_time(60)
    bucket.answered(10, 0)
    assert bucket.pace == 1.0
    assert rate_over(bucket, clock, 3) <= 103


def test_throttling_of_everything_halves_the_pace_and_leaves_a_trickle() -> None:
    clock = Clock()
    bucket = pacer(clock, 100, None)
    paces = []
    for _ in range(20):
        clock.pass_time(0.5)
        bucket.answered(10, 10)
        paces.append(bucket.pace)
    assert paces[:3] == [0.5, 0.25, 0.125]
    assert paces[-1] == 0.02


def test_a_limit_below_the_share_is_found_and_nearly_used() -> None:
    """A service that grants 60 requests a second, to a task whose share is 100."""
    clock = Clock()
    bucket = pacer(clock, 100, None)
    granted, second, sent = 0, 0.0, 0
    for _ in range(6_000):
        acquire(bucket, clock, 1)
        if clock.now >= second + 1:
            second, sent = clock.now, 0
        sent += 1
        granted += sent <= 60
        bucket.answered(1, 0 if sent <= 60 else 1)
    assert 50 <= granted / clock.now <= 61
