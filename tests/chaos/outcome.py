"""Watches a fault: when it is noticed, when everything goes on, and how often that took another try."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import httpx
import psutil

from tests.chaos.faults import RESENT, SILENT, Fault, World
from tests.chaos.stage import CUSTOM
from tests.chaos.tries import Try

# After the bound, to see by how much it is passed.
_LATER_SECONDS = 60.0
# So long after its last checkpoint a delivery sends no more: keep.py.
STALE_SECONDS = 5


@dataclass
class Outcome:
    """What became of a fault; times in seconds from its beginning.

    - accepted: how many entries the destinations had accepted when all went on
    - hit, lost: the tries that ran, and those of them that it cost
    - repeats, again: how many events of each connector went again that were accepted in its time, and at which fault
    - unheard: how many more went again since their sender, which was told to end, had no answer in time
    - queued: how long something that it waited for was with a worker that had lost its connection before
    - connector: the one whose task it struck; "" if it strikes more than a task
    - struck: when it began
    - late: the connectors of which a task was not taken up for as long as a custom bus knows what it had
    - skipped: why it was not played; "" if it was
    - missed: why it struck nothing; "" if it struck
    - unhealthy: the parts that were so when all went on
    """

    fault: Fault
    accepted: int = 0
    noticed: float | None = None
    recovered: float | None = None
    hit: list[Try] = field(default_factory=list)
    lost: list[Try] = field(default_factory=list)
    repeats: Counter[str] = field(default_factory=Counter)
    unheard: Counter[str] = field(default_factory=Counter)
    again: list[str] = field(default_factory=list)
    queued: float = 0.0
    connector: str = ""
    struck: datetime = field(default_factory=partial(datetime.now, UTC))
    late: frozenset[str] = frozenset()
    skipped: str = ""
    missed: str = ""
    unhealthy: Sequence[str] = ()

    @property
    def allowed(self) -> float:
        """How soon everything has to go on, in seconds."""
        # The bounds are for first tries.
        fails = self.fault.raises
        last = max((each.number for each in self.lost), default=1) + fails - 1 if fails else 1
        return self.fault.recovered + delay(last) - delay(max(1, fails)) + min(self.queued, RESENT)

    @property
    def name(self) -> str:
        """What was struck, for people."""
        return f"{self.fault.name} ({self.connector})" if self.connector else self.fault.name

    def complaints(self, rate: float) -> Iterator[str]:
        """What is not within its bounds; ``rate`` is the most that a connector may send in a second."""
        if self.missed:
            yield f"{self.name}: it struck nothing: {self.missed}"
        elif not self.skipped:
            yield from self._of_tries()
            yield from self._of_repeats(rate)
            yield from (f"{self.name}: {each} after it" for each in self.unhealthy)

    def _of_tries(self) -> Iterator[str]:
        name, fault = self.name, self.fault
        if self.recovered is None or self.recovered > self.allowed:
            yield f"{name}: recovered after {self.recovered} s, allowed are {self.allowed:.0f}"
        if fault.noticed is not None and (self.noticed is None or self.noticed > fault.noticed):
            yield f"{name}: noticed after {self.noticed} s, allowed are {fault.noticed:.0f}"
        if fault.spares and self.lost:
            yield f"{name}: {len(self.lost)} of {len(self.hit)} tries lost, where none may be"
        if fault.noticed is not None and not self.lost:
            yield f"{name}: no try was lost, so it struck nothing"

    def _of_repeats(self, rate: float) -> Iterator[str]:
        for connector, count in sorted(self.repeats.items()):
            most = rate if self._may_repeat(connector) else 0
            if count > most:
                told = "; ".join(self.again)
                yield f"{self.name}: {count:,} events of {connector} repeated, allowed are {most:,.0f} ({told})"
        for connector, count in sorted(self.unheard.items()):
            if count > (most := rate * STALE_SECONDS):
                told = "whose senders had no answer in time"
                yield f"{self.name}: {count:,} more events of {connector} repeated, {told}; allowed are {most:,.0f}"

    def _may_repeat(self, connector: str) -> bool:
        """Whether a second's worth may go again: all tasks of a connector that are killed at once send so much."""
        knows_what_it_had = connector == CUSTOM and connector not in self.late
        return self.fault.kills and not knows_what_it_had and any(each.connector == connector for each in self.lost)


def delay(number: int) -> float:
    """How long the next try waits after one of this number that ended by an error, in seconds."""
    return float(min(30 * 2 ** (number - 1), 600))


class Observer:
    """Looks at a fault from outside until everything goes on."""

    def __init__(self, world: World, fault: Fault) -> None:
        self._world, self._fault = world, fault
        world.probes.clear()
        self.outcome = Outcome(fault, connector=world.connector)
        self._strike = fault.strike(world)
        self._ended = False
        self._accepted_at_end: Mapping[str, int] = {}
        self._probe = ""
        # The probes that have started.
        self._begun: set[str] = set()
        # Until when it is known what waits in the queue.
        self._looked_at = 0.0

    def watch(self) -> Outcome:
        """Has the fault strike, and returns what became of it."""
        try:
            self._watch()
        except (AssertionError, OSError, psutil.Error, httpx.HTTPError) as error:
            # Nothing delivers any more, or the victim has just ended.
            self.outcome.missed = repr(error)
            # It must not last while others strike.
            with suppress(AssertionError, OSError, psutil.Error, httpx.HTTPError):
                next(self._strike, None)
        self.outcome.accepted = sum(self._accepted().values())
        self._world.is_cut = (self._world.is_cut or self._fault.cuts) and not self._fault.renews
        return self.outcome

    def _watch(self) -> None:
        self.outcome.hit = next(self._strike)
        began, self.outcome.struck = time.monotonic(), datetime.now(UTC)
        next(self._strike)
        while (seconds := time.monotonic() - began) < self.outcome.allowed + _LATER_SECONDS:
            # First, as the end of some faults takes a while.
            try:
                self._look(round(seconds, 1))
            except httpx.HTTPError:
                # Nobody saw what waited meanwhile.
                self._looked_at = time.monotonic() - began
            if not self._ended and seconds >= self._fault.lasts:
                next(self._strike, None)
                self._ended, self._accepted_at_end = True, self._accepted()
                self._looked_at = time.monotonic() - began
            # What is lost without a word is known by then; who waits to notice it needs no other wait.
            is_known = self._fault.noticed is not None or seconds > self._fault.lasts + SILENT
            if self.outcome.recovered is not None and is_known:
                break
            time.sleep(1)

    def _look(self, seconds: float) -> None:
        told = self.outcome
        self._begun |= {each for each in self._waiting_probes if self._world.tries.has_begun(each)}
        now = [self._world.tries.now(each) for each in told.hit]
        pairs = list(zip(told.hit, now, strict=True))
        if told.noticed is None and told.hit and all(_is_over(before, after) for before, after in pairs):
            told.noticed = seconds
        # What waits because of this fault is within its own bound.
        is_cut = self._world.is_cut and not self._fault.cuts and seconds > self._fault.lasts
        if is_cut and told.recovered is None and self._waits_in_queue(now):
            told.queued = round(told.queued + seconds - self._looked_at, 1)
        self._looked_at = seconds
        lost = [before for before, after in pairs if _is_lost(before, after)]
        if len(lost) > len(told.lost):
            told.lost, told.recovered = lost, None
        # An orphan lives on for some seconds, and Airflow takes it for alive until it misses its beats.
        is_known = self._fault.noticed is None or told.noticed is not None
        if told.recovered is None and self._ended and is_known and self._goes_on(pairs):
            told.recovered = seconds

    def _goes_on(self, pairs: list[tuple[Try, Try]]) -> bool:
        under_way = {after.connector for _, after in pairs if after.state != "success"}
        return all(_goes_on(before, after) for before, after in pairs) and self._moves(under_way)

    def _moves(self, connectors: Iterable[str]) -> bool:
        """Whether since the end of the fault events arrived of each of these, and tasks have started if none could."""
        accepted = self._accepted()
        if any(accepted[each] <= self._accepted_at_end[each] for each in connectors):
            return False
        if not self._fault.halts:
            return True
        self._probe = self._probe or self._world.tries.begin_probe()
        return not self._waiting_probes

    @property
    def _waiting_probes(self) -> list[str]:
        probes = [*self._world.probes, *([self._probe] if self._probe else [])]
        return [each for each in probes if each not in self._begun]

    def _waits_in_queue(self, tries: Iterable[Try]) -> bool:
        """Whether one of these tries, or a probe, was sent to a worker and has not begun."""
        is_queued = self._world.tries.is_queued
        return any(each.state == "queued" for each in tries) or any(map(is_queued, self._waiting_probes))

    def _accepted(self) -> Counter[str]:
        """How many entries of each connector were accepted, what a bus had before among them."""
        counts = self._world.aws.counts()
        return Counter(counts["by_bus"]) + Counter({CUSTOM: counts["deduplicated"]})


def _is_over(before: Try, now: Try) -> bool:
    """Whether Airflow knows that a try has ended."""
    return now.number > before.number or now.state != "running"


def _is_lost(before: Try, now: Try) -> bool:
    """Whether a try has ended otherwise than well; its number grows only when the next one is scheduled."""
    return now.number > before.number or now.state not in ("running", "success")


def _goes_on(before: Try, now: Try) -> bool:
    """Whether a task has ended well, or a try of it runs, or a new one waits for nothing but a slot of its pool.

    A process of the try before would send beside it.
    """
    if now.number > before.number and before.is_alive:
        return False
    if now.state == "scheduled":
        return now.number > before.number
    return now.state == "success" or (now.state == "running" and now.is_alive)
