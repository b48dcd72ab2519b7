from __future__ import annotations

from currents_core.entry import Span
from currents_core.sending.tries import Tries, Try
from tests.tools.entries import make_entries


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def due(tries: Tries) -> list[int]:
    return [row for span in tries.take_due() for row in span.rows]


def test_tries_are_counted_from_the_first_until_forgotten() -> None:
    times = iter([1.0, 2.0, 3.0])
    tries = Tries(Clock(), lambda: next(times))
    one, other = make_entries(2), make_entries(1, resource="other")
    span = Span(one, 1, 2)
    assert tries.count(span) == Try(1, 1.0)
    assert tries.count(span) == Try(2, 1.0)
    assert tries.count(Span(other, 0, 1)) == Try(1, 2.0)
    tries.forget(Span(one, 0, 2))
    assert tries.count(span) == Try(1, 3.0)


def test_entries_come_back_in_the_order_in_which_they_are_due() -> None:
    clock = Clock()
    tries = Tries(clock, clock)
    late, soon, at_once = (Span(make_entries(3), row, row + 1) for row in range(3))
    tries.again(late, 5.0)
    tries.again(soon, 0.5)
    tries.again(at_once, 0.0)
    assert due(tries) == at_once.rows
    assert tries.wait() == 0.5
    clock.now += 0.5
    assert due(tries) == soon.rows
    assert tries.wait() == 1.0
    clock.now += 10.0
    assert tries.wait() < 0
    assert due(tries) == late.rows
    assert tries.wait() == 1.0
