"""When a fault counts as noticed and as recovered from, with a cluster that only tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import Any

import pytest

from tests.chaos.faults import Fault, World
from tests.chaos.outcome import Observer
from tests.chaos.tries import Try

FIRST = Try("path", "deliver", "classic", 1, "running", 0, "id")


@dataclass
class Told:
    """Local AWS and Airflow: each look finds the next of the states, and more events than the one before."""

    states: Iterator[Try]
    accepted: int = 0
    last: Try = FIRST
    asked: Counter[str] = field(default_factory=Counter)

    def counts(self) -> dict[str, Any]:
        self.accepted += 1
        return {"by_bus": {FIRST.connector: self.accepted}, "deduplicated": 0}

    def is_queued(self, _probe: str) -> bool:
        return False

    def begin_probe(self) -> str:
        return "its own"

    def has_begun(self, probe: str) -> bool:
        self.asked[probe] += 1
        return self.asked[probe] > len(probe)

    def now(self, before: Try) -> Try:
        self.last = next(self.states)
        return self.last


def strike(_world: World) -> Iterator[list[Try]]:
    yield [FIRST]
    yield []


def watch(
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    *states: Try,
    zombies: Sequence[Try] = (),
    is_cut: bool = False,
    asked: Counter[str] | None = None,
) -> Any:
    """What becomes of a fault, where each look takes two thirds of a second. The processes of ``zombies`` never end.

    ``is_cut`` if workers had lost their connection to the queue before. ``asked`` counts the looks at each probe.
    """
    seconds = iter(range(100_000))
    monkeypatch.setattr("tests.chaos.outcome.time.monotonic", lambda: next(seconds) * 2 / 3)
    monkeypatch.setattr("tests.chaos.outcome.time.sleep", lambda _seconds: None)
    told = Told(chain(states, repeat(states[-1])), asked=Counter() if asked is None else asked)
    monkeypatch.setattr("tests.chaos.tries.Try.is_alive", property(lambda each: each is told.last or each in zombies))
    return Observer(World(told, None, told, None, {}, is_cut=is_cut), fault).watch()  # type: ignore[arg-type]


def test_a_try_that_only_seems_to_go_on_is_not_recovered_before_it_was_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = replace(FIRST, state="up_for_retry")
    again = replace(FIRST, number=2)
    found = watch(monkeypatch, Fault("killed", strike, recovered=90, noticed=90), FIRST, FIRST, waits, waits, again)
    assert found.noticed < found.recovered
    assert found.lost == [FIRST]


def test_a_try_that_goes_on_has_recovered_from_what_spares_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = watch(monkeypatch, Fault("slow", strike, recovered=90, spares=True), FIRST)
    assert (found.noticed, found.lost) == (None, [])
    assert found.recovered is not None


def test_a_new_try_that_waits_for_a_slot_has_recovered_and_an_old_one_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    slot = replace(FIRST, number=2, state="scheduled")
    assert watch(monkeypatch, Fault("killed", strike, recovered=90), slot).recovered is not None
    assert watch(monkeypatch, Fault("killed", strike, recovered=90), replace(FIRST, state="failed")).recovered is None


def test_a_new_try_beside_whose_old_one_runs_on_has_not_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    again = replace(FIRST, number=2, id="next")
    assert watch(monkeypatch, Fault("killed", strike, recovered=90), again).recovered is not None
    assert watch(monkeypatch, Fault("killed", strike, recovered=90), again, zombies=[FIRST]).recovered is None


def test_only_where_a_worker_lost_its_connection_before_the_time_in_the_queue_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault, queued, again = Fault("killed", strike, recovered=90), replace(FIRST, number=2), replace(FIRST, number=2)
    states = [FIRST, *[replace(queued, state="queued")] * 5, again]
    assert watch(monkeypatch, fault, *states).queued == 0
    assert 2 < watch(monkeypatch, fault, *states, is_cut=True).queued < 4


def test_a_try_that_is_lost_after_all_seemed_well_is_lost_and_what_goes_on_counts_from_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits, again = replace(FIRST, state="up_for_retry"), replace(FIRST, number=2)
    states = [*[FIRST] * 50, *[waits] * 10, again]
    found = watch(monkeypatch, Fault("away", strike, recovered=90), *states)
    assert found.lost == [FIRST]
    assert found.recovered > 30
    assert watch(monkeypatch, Fault("away", strike, recovered=90, spares=True), *[FIRST] * 50, waits).lost == [FIRST]


def test_a_fault_has_not_recovered_where_what_it_struck_delivers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(FIRST, connector="custom")
    assert watch(monkeypatch, Fault("slow", strike, recovered=90), other).recovered is None


def test_what_waited_in_the_queue_has_to_start_and_is_not_asked_for_after(monkeypatch: pytest.MonkeyPatch) -> None:
    def strike_queue(world: World) -> Iterator[list[Try]]:
        yield [FIRST]
        world.probes += ["a", "much later"]
        yield []

    fault, asked = Fault("queue killed", strike_queue, recovered=90, spares=True, halts=True), Counter[str]()
    assert watch(monkeypatch, fault, FIRST, asked=asked).recovered is not None
    # Each starts after as many looks as its name has letters.
    assert asked == {"a": 2, "much later": 11, "its own": 8}
