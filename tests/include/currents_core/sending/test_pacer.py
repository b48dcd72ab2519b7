from __future__ import annotations

from math import inf

import pytest
from hypothesis import example, given
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


STEPS = st.tuples(st.sampled_from([0.25, 0.5, 1.0]), st.floats(0, 0.5), st.floats(0, 0.2))


@given(st.lists(STEPS, min_size=1, max_size=20))
@example([(1.0, 0.1, 0.1), (1.0, 0.3, 0.0), (0.25, 0.1, 0.05), (1.0, 0.2, 0.0)])
@example([(0.25, 0.0, 0.125), (1.0, 0.5, 0.0), (0.25, 0.0, 0.125), (1.0, 0.5, 0.0)])
def test_no_second_holds_more_than_what_its_shares_allow_and_one_burst(steps: list[tuple[float, float, float]]) -> None:
    clock = Clock()
    bucket = pacer(clock, 1_000, None)
    sent, shares = [], []
    for share, sends, idles in steps:
        bucket.allow(share)
        began, until = clock.now, clock.now + sends
        while clock.now < until:
            if (wait := bucket.take(1)) > 0:
                clock.pass_time(min(wait, until - clock.now))
            else:
                sent.append(clock.now)
        clock.pass_time(idles)
        shares.append((share, began, clock.now))
    for start in sent:
        allowed = sum(share * max(0.0, min(end, start + 1) - max(began, start)) for share, began, end in shares)
        assert len([at for at in sent if start <= at < start + 1]) <= 1_000 * (allowed + 0.04) + 2


def test_a_share_of_the_rates_holds_until_its_time_and_then_the_own_part() -> None:
    clock = Clock()
    bucket = pacer(clock, 100, None)
    bucket.allow(0.2, 20.0)
    assert rate_over(bucket, clock, 5) == pytest.approx(20, abs=1)
    bucket.lend(0.7, 10.0)
    assert bucket.share == 0.7
    assert rate_over(bucket, clock, 4) == pytest.approx(70, abs=2)
    clock.pass_time(10.0 - clock.now)
    assert bucket.share == 0.2
    assert rate_over(bucket, clock, 5) == pytest.approx(20, abs=1)


@pytest.mark.parametrize(("share", "burst"), [(0.5, 20), (0.25, 1)])
def test_a_share_that_is_renewed_keeps_its_burst_and_another_begins_without(share: float, burst: int) -> None:
    clock = Clock()
    bucket = pacer(clock, 1_000, None)
    bucket.allow(0.5, 10.0)
    clock.pass_time(1.0)
    bucket.allow(share, 20.0)
    found = 0
    while bucket.take(1) == 0:
        found += 1
    assert found == pytest.approx(burst, abs=1)


def test_without_a_part_nothing_is_sent() -> None:
    clock = Clock()
    bucket = pacer(clock, 100, None)
    bucket.allow(0.5, 1.0)
    clock.pass_time(1.0)
    assert bucket.share == 0.0
    assert 0 < bucket.take(1) < 1
    bucket.allow(0.5)
    assert bucket.take(1) == 0.0


def test_what_was_used_is_told_in_seconds_of_the_whole_rates_however_slow_the_pace() -> None:
    clock = Clock()
    bucket = pacer(clock, 100, 200)
    bucket.pace = 0.5
    for entries in (1, 4, 10):
        acquire(bucket, clock, entries)
    assert bucket.used == pytest.approx(0.01 + 0.02 + 0.05)


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


@pytest.mark.parametrize(
    ("rates", "worth"),
    [((None, None), inf), ((10, None), 200.0), ((None, 50), 100.0), ((10, 50), 100.0), ((4, 50), 80.0)],
)
def test_some_seconds_are_worth_as_many_entries_as_their_requests_may_have(
    rates: tuple[float | None, float | None], worth: float
) -> None:
    pacer = Pacer(*rates)
    assert pacer.worth(2.0, 10) == worth
    pacer.allow(0.5)
    assert pacer.worth(2.0, 10) == worth / 2
    pacer.allow(0.0)
    assert pacer.worth(2.0, 10) == 0.0
