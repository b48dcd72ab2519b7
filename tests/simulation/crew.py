"""The crew of a simulated process: greenlets, a clock of its own, and what they wait for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from currents_core.crew import Job, Signal
from tests.simulation.scheduler import KilledError, Process, Scheduler

Result = TypeVar("Result")

# Late enough for the day of the files to be compacted.
BEGAN = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


class SimulatedSignal:
    """A signal between the greenlets of one process. Every wait is a chance for others to run."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_set = False
        self._wakers: list[Callable[[], None]] = []

    def is_set(self) -> bool:
        """Whether it was given."""
        return self._is_set

    def set(self) -> None:
        """Gives it."""
        self._is_set = True
        wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def clear(self) -> None:
        """Takes it back."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Waits in virtual time."""
        scheduler = self._scheduler
        if self._is_set:
            scheduler.pause()
            return True
        strand = scheduler.strand
        wake = scheduler.waker(strand)
        self._wakers.append(wake)
        if timeout is not None:
            scheduler.after(max(0.0, timeout), strand.process, wake)
        scheduler.park()
        return self._is_set


class SimulatedJob(Generic[Result]):
    """Work of a greenlet."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._ended = SimulatedSignal(scheduler)
        self._result: Result | None = None
        self._error: BaseException | None = None

    def run(self, work: Callable[..., Result], *arguments: Any) -> None:
        """Does the work, and keeps what comes of it."""
        try:
            self._result = work(*arguments)
        except KilledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whoever waits for the result gets it
            self._error = error
        self._ended.set()

    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    def result(self) -> Result:
        """What the work returned, or raised."""
        if not self.done():
            self._ended.wait()
        if self._error:
            raise self._error
        return self._result  # type: ignore[return-value]


class SimulatedCrew:
    """A crew of greenlets of one process. Its time of day is wrong by ``skew`` seconds."""

    def __init__(self, scheduler: Scheduler, process: Process, skew: float) -> None:
        self._scheduler = scheduler
        self._process = process
        self._skew = skew

    def start(self, work: Callable[..., Result], *arguments: Any) -> Job[Result]:
        """Starts a greenlet."""
        job = SimulatedJob[Result](self._scheduler)
        self._scheduler.spawn(self._process, lambda: job.run(work, *arguments))
        return job

    def begin_beat(self, beat: Callable[[], None]) -> Job[None]:
        """Starts a greenlet."""
        return self.start(beat)

    def signal(self) -> Signal:
        """A signal between greenlets."""
        return SimulatedSignal(self._scheduler)

    def lock(self) -> SimulatedLock:
        """A lock between greenlets."""
        return SimulatedLock(self._scheduler)

    def sleep(self, seconds: float) -> None:
        """Waits in virtual time."""
        strand = self._scheduler.strand
        self._scheduler.after(seconds, self._process, self._scheduler.waker(strand))
        self._scheduler.park()

    def seconds(self) -> float:
        """The virtual clock, which every process began to count at another time."""
        return self._scheduler.clock + 1_000.0 + self._skew

    def now(self) -> datetime:
        """The time of day, wrong by the skew."""
        return BEGAN + timedelta(seconds=self._scheduler.clock + self._skew)


class SimulatedLock:
    """A lock between greenlets, whose holder may wait."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._free = SimulatedSignal(scheduler)
        self._free.set()

    def __enter__(self) -> None:
        while not self._free.is_set():
            self._free.wait()
        self._free.clear()

    def __exit__(self, *_: object) -> None:
        self._free.set()
