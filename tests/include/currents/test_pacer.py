from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from include.currents.pacer import Pacer


class Clock:
    """A clock that only sleeping and ``pass_time`` move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


def pacer(clock: Clock, requests: float | None, entries: float | None) -> Pacer:
    return Pacer(requests, entries, clock=clock, sleep=clock.pass_time)


@given(st.lists(st.tuples(st.integers(1, 10), st.floats(0, 0.3)), min_size=1, max_size=200))
def test_no_second_holds_more_than_the_budget_and_its_burst(calls: list[tuple[int, float]]) -> None:
    clock = Clock()
    bucket = pacer(clock, 20, 100)
    sent = []
    for entries, idle in calls:
        clock.pass_time(idle)
        bucket.acquire(entries)
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
            bucket.acquire(10)
        assert round(99 / clock.now, 1) in (expected, expected + 0.1)


def test_without_rates_nothing_waits() -> None:
    clock = Clock()
    bucket = pacer(clock, None, None)
    for _ in range(1000):
        bucket.acquire(10)
    assert (clock.now, bucket.waited) == (0, 0)


def test_waiting_is_counted() -> None:
    clock = Clock()
    bucket = pacer(clock, 1, None)
    bucket.acquire(1)
    bucket.acquire(1)
    assert round(bucket.waited, 2) == round(clock.now, 2) == 1.0
