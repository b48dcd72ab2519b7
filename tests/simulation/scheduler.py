"""A scheduler with a virtual clock: it runs the steps of all processes, one at a time, in an order that a seed decides.

A step is the rest of a greenlet up to its next pause, or an event of the network. Nothing here waits in real time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Any

from greenlet import getcurrent, greenlet


class KilledError(BaseException):
    """Unwinds the greenlets of a process that was killed. Nothing that they still do has an effect."""


class StuckError(Exception):
    """Something waits for what can never come."""


@dataclass(eq=False)
class Process:
    """One process: the greenlets that a kill ends together, and that a stall keeps from running.

    ``slowness`` is for how many steps at most it stalls after each call of a store.
    """

    name: str
    is_dead: bool = False
    stalled_steps: int = 0
    slowness: int = 0
    strands: dict[Strand, None] = field(default_factory=dict)


@dataclass(eq=False)
class Strand:
    """A greenlet. ``waits`` counts its waits, so that whatever ends one does not end a later one."""

    process: Process
    body: greenlet
    waits: int = 0
    is_waiting: bool = False


Step = tuple[Process | None, Callable[[], None]]


class Scheduler:
    """Runs steps. ``tempo`` is how long a step takes at most, in seconds of the virtual clock."""

    def __init__(self, random: Random, tempo: float) -> None:
        self.random = random
        self.clock = 0.0
        self.steps = 0
        self.trace: list[str] | None = None
        self._tempo = tempo
        self._ready: list[Step] = []
        self._timers: list[tuple[float, int, Process | None, Callable[[], None]]] = []
        self._numbers = count()
        self._hub = getcurrent()
        self._current: Strand | None = None

    def tell(self, text: str) -> None:
        """Adds a line to the trace, if one is kept."""
        if self.trace is not None:
            self.trace.append(f"{self.clock:10.3f} {text}")

    def soon(self, process: Process | None, step: Callable[[], None]) -> None:
        """Makes a step ready to run."""
        if not (process and process.is_dead):
            self._ready.append((process, step))

    def after(self, seconds: float, process: Process | None, step: Callable[[], None]) -> None:
        """Makes a step ready to run once the clock is there."""
        heapq.heappush(self._timers, (self.clock + seconds, next(self._numbers), process, step))

    def spawn(self, process: Process, work: Callable[[], None]) -> None:
        """Starts a greenlet of a process."""
        strand = Strand(process, greenlet(work, parent=self._hub))
        process.strands[strand] = None
        self.soon(process, lambda: self._resume(strand))

    @property
    def strand(self) -> Strand:
        """The greenlet that runs now. Raises KilledError if its process was killed."""
        assert self._current, "only a greenlet can wait"
        if self._current.process.is_dead:
            raise KilledError
        return self._current

    def pause(self) -> None:
        """Lets others run in between."""
        self.park(self.waker(self.strand))

    def waker(self, strand: Strand) -> Callable[[], None]:
        """What ends the next wait of a greenlet, and only that."""
        strand.waits += 1
        waits = strand.waits

        def wake() -> None:
            if strand.waits == waits and strand.is_waiting:
                strand.is_waiting = False
                self.soon(strand.process, lambda: self._resume(strand))

        return wake

    def park(self, wake: Callable[[], None] | None = None) -> None:
        """Has the current greenlet wait until it is woken; ``wake`` is called first, if given."""
        strand = self.strand
        strand.is_waiting = True
        if wake:
            wake()
        self._hub.switch()
        if strand.process.is_dead:
            raise KilledError

    def kill(self, process: Process) -> None:
        """Ends a process where it is."""
        process.is_dead = True
        self._ready = [step for step in self._ready if step[0] is not process]
        for strand in list(process.strands):
            self._run(strand, partial(strand.body.throw, KilledError))
        process.strands.clear()

    def step(self) -> bool:
        """Runs one step; moves the clock on if all wait for it. Returns whether there was anything to run."""
        self.clock += self._tempo * self.random.random()
        self._ring()
        chosen = self._choose()
        while chosen is None:
            if not self._timers:
                return False
            self.clock = max(self.clock, self._timers[0][0])
            self._ring()
            chosen = self._choose()
        self.steps += 1
        chosen[1]()
        return True

    def _choose(self) -> Step | None:
        ready = self._ready
        if not ready:
            return None
        place = int(self.random.random() * len(ready))
        process = ready[place][0]
        if process and process.stalled_steps:
            process.stalled_steps -= 1
            free = [at for at, (owner, _) in enumerate(ready) if not (owner and owner.stalled_steps)]
            if free:
                place = free[int(self.random.random() * len(free))]
            elif self._timers:
                self.clock = max(self.clock, self._timers[0][0])
                self._ring()
        ready[place], ready[-1] = ready[-1], ready[place]
        return ready.pop()

    def _ring(self) -> None:
        while self._timers and self._timers[0][0] <= self.clock:
            _, _, process, step = heapq.heappop(self._timers)
            if not (process and process.is_dead):
                step()

    def _resume(self, strand: Strand) -> None:
        self._run(strand, strand.body.switch)

    def _run(self, strand: Strand, switch: Callable[[], Any]) -> None:
        self._current = strand
        try:
            switch()
        except KilledError:
            pass
        finally:
            self._current = None
        if strand.body.dead:
            strand.process.strands.pop(strand, None)
