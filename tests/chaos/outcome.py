"""Watches a fault: when it is noticed, when everything goes on, and how often that took another try."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from tests.chaos.faults import SILENT, Fault, World
from tests.chaos.tries import Try

GIVE_UP_SECONDS = 600.0
_AFTERMATH_SECONDS = 3.0


@dataclass
class Outcome:
    """What became of a fault; times in seconds from its beginning.

    - accepted: how many entries the destinations had accepted once it had struck
    - lost: the tries that it cost, of those that ran
    - repeats, again: how many events went again that were accepted before it, and of which connector and after what
    - connector: the one whose task it struck; "" if it strikes more than a task
    - skipped: why it was not played; "" if it was
    """

    fault: Fault
    accepted: int = 0
    noticed: float | None = None
    recovered: float | None = None
    hit: list[Try] = field(default_factory=list)
    lost: int = 0
    repeats: int = 0
    again: list[str] = field(default_factory=list)
    connector: str = ""
    skipped: str = ""

    @property
    def name(self) -> str:
        """What was struck, for people."""
        return f"{self.fault.name} ({self.connector})" if self.connector else self.fault.name

    def complaints(self, rate: float) -> Iterator[str]:
        """What is not within its bounds; ``rate`` is the most that a connector may send in a second."""
        if self.skipped:
            return
        name, fault = self.name, self.fault
        # The bounds are for first tries.
        last = max((each.number for each in self.hit), default=1) if fault.raises else 1
        allowed = fault.recovered + delay(last) - delay(1)
        if self.recovered is None or self.recovered > allowed:
            yield f"{name}: recovered after {self.recovered} s, allowed are {allowed:.0f}"
        if fault.noticed is not None and (self.noticed is None or self.noticed > fault.noticed):
            yield f"{name}: noticed after {self.noticed} s, allowed are {fault.noticed:.0f}"
        if fault.spares and self.lost:
            yield f"{name}: {self.lost} of {len(self.hit)} tries lost, where none may be"
        # Every try that was killed may repeat a second's worth.
        most = rate * max(1, len(self.hit)) if fault.kills else 0
        if self.repeats > most:
            yield f"{name}: {self.repeats} events repeated, allowed are {most:.0f} ({'; '.join(self.again)})"


def delay(number: int) -> float:
    """How long the next try waits after one of this number that ended by an error, in seconds."""
    return float(min(30 * 2 ** (number - 1), 600))


class Observer:
    """Looks at a fault from outside until everything goes on."""

    def __init__(self, world: World, fault: Fault) -> None:
        self._world, self._fault = world, fault
        self.outcome = Outcome(fault, connector=world.connector)
        self._ended = False
        self._accepted_at_end = 0
        self._probe = ""

    def watch(self) -> Outcome:
        """Has the fault strike, and returns what became of it."""
        strike = self._fault.strike(self._world)
        self.outcome.hit = next(strike)
        began = time.monotonic()
        next(strike)
        # The destination may still be at what it was sent before, on a busy machine for seconds.
        time.sleep(_AFTERMATH_SECONDS)
        self.outcome.accepted = _accepted(self._world)
        while (seconds := time.monotonic() - began) < GIVE_UP_SECONDS:
            if not self._ended and seconds >= self._fault.lasts:
                next(strike, None)
                self._ended, self._accepted_at_end = True, _accepted(self._world)
            with suppress(httpx.HTTPError):
                self._look(round(time.monotonic() - began, 1))
            # What was taken for dead would be known by then.
            if self.outcome.recovered is not None and (not self._fault.spares or seconds > self._fault.lasts + SILENT):
                break
            time.sleep(1)
        return self.outcome

    def _look(self, seconds: float) -> None:
        told = self.outcome
        now = [self._world.tries.now(each) for each in told.hit]
        pairs = list(zip(told.hit, now, strict=True))
        if told.noticed is None and told.hit and all(_is_over(before, after) for before, after in pairs):
            told.noticed = seconds
        told.lost = sum(after.number > before.number for before, after in pairs)
        # An orphan lives on for some seconds, and Airflow takes it for alive until it misses its beats.
        is_known = self._fault.noticed is None or told.noticed is not None
        if told.recovered is None and self._ended and is_known and self._goes_on(pairs):
            told.recovered = seconds

    def _goes_on(self, pairs: list[tuple[Try, Try]]) -> bool:
        return all(_goes_on(before, after) for before, after in pairs) and self._moves()

    def _moves(self) -> bool:
        """Whether since the end of the fault events arrived, and a task has started if they could not meanwhile."""
        if _accepted(self._world) <= self._accepted_at_end:
            return False
        if not self._fault.halts:
            return True
        self._probe = self._probe or self._world.tries.begin_probe()
        return self._world.tries.has_begun(self._probe)


def _is_over(before: Try, now: Try) -> bool:
    """Whether Airflow knows that a try has ended."""
    return now.number > before.number or now.state != "running"


def _goes_on(before: Try, now: Try) -> bool:
    """Whether a task has ended well, or a try of it runs, or a new one waits for nothing but a slot of its pool."""
    if now.state == "scheduled":
        return now.number > before.number
    return now.state == "success" or (now.state == "running" and now.is_alive)


def _accepted(world: World) -> int:
    counts = world.aws.counts()
    return int(counts["accepted"]) + int(counts["deduplicated"])
