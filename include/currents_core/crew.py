"""The crew of a delivery: its threads, its clocks and its sleep, so that a simulation can bring its own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from threading import Event, Lock, Thread
from typing import Any, Protocol, TypeVar

from currents_core.errors import TransientError

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

# Enough for what waits on the network at the same time: eight downloads, eight claims and eight claim checks. The rest
# replace heads, also where S3 answers none of the others.
MOST_THREADS = 32
# A clock that goes on while the machine is suspended, where there is one: what was true before may be no longer.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Job(Protocol[Result_co]):
    """Work that a member of the crew does."""

    def done(self) -> bool:
        """Whether it has ended."""

    def result(self) -> Result_co:
        """What the work returned, or raised, once it has ended."""


class Signal(Protocol):
    """Tells others that something happened, as an event of `threading` does."""

    def set(self) -> None:
        """Gives it, and wakes up who waits for it."""

    def clear(self) -> None:
        """Takes it back."""

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is given, at most ``timeout`` seconds. Returns whether it was."""


class Crew(Protocol):
    """The threads, clocks and locks of one delivery."""

    def start(self, work: Callable[..., Result], *arguments: Any) -> Job[Result]:
        """Starts work on a thread of its own, or as soon as one is free. Raises TransientError if none will be."""

    def begin_beat(self, beat: Callable[[], None]) -> Job[None]:
        """Starts what goes on to the end, on a thread of its own. Raises TransientError if there is no room for one."""

    def signal(self) -> Signal:
        """A signal that is not given yet."""

    def lock(self) -> AbstractContextManager[Any]:
        """A lock that may be held while its holder waits for the network."""

    def sleep(self, seconds: float) -> None:
        """Waits."""

    def seconds(self) -> float:
        """A clock that only moves forward, in seconds."""

    def now(self) -> datetime:
        """The current time, aware. Never judge another machine's work by it."""


def waited_for(job: Job[Result], meanwhile: Callable[[float], None]) -> Result:
    """The result of a job, once it has ended. Until then, ``meanwhile`` is called with the seconds it may take."""
    pause = 0.001
    while not job.done():
        meanwhile(pause)
        pause = min(2 * pause, 0.02)
    return job.result()


class Threads:
    """A crew of real threads, at most MOST_THREADS, on the machine's own clocks.

    A thread ends when there is no more work, so that nothing has to be closed, and nothing is left of a crew.
    """

    def __init__(self) -> None:
        self._work = deque[Callable[[], None]]()
        self._threads = 0
        self._lock = Lock()

    def start(self, work: Callable[..., Result], *arguments: Any) -> Job[Result]:
        """Starts work on a thread, or as soon as one is free."""
        job = Future[Result]()
        with self._lock:
            self._work.append(partial(_do, job, work, arguments))
            if self._threads < MOST_THREADS:
                self._grow()
        return job

    def begin_beat(self, beat: Callable[[], None]) -> Job[None]:
        """Starts what goes on to the end, on a thread of its own."""
        job = Future[None]()
        _begin_thread(partial(_do, job, beat, ()))
        return job

    def _grow(self) -> None:
        try:
            _begin_thread(self._work_off)
        except TransientError:
            # One that there is will get to it.
            if not self._threads:
                self._work.pop()
                raise
        else:
            self._threads += 1

    def _work_off(self) -> None:
        while True:
            with self._lock:
                if not self._work:
                    self._threads -= 1
                    return
                work = self._work.popleft()
            work()

    def signal(self) -> Signal:
        """A signal between threads."""
        return Event()

    def lock(self) -> AbstractContextManager[Any]:
        """A lock between threads."""
        return Lock()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)

    def seconds(self) -> float:
        """Seconds of a clock that goes on while the machine is suspended."""
        return time.clock_gettime(_CLOCK)

    def now(self) -> datetime:
        """The machine's time."""
        return datetime.now(UTC)


def _begin_thread(work: Callable[[], None]) -> None:
    try:
        # A process that ends waits for none of them.
        Thread(target=work, name="crew", daemon=True).start()
    except RuntimeError as error:
        why = "this machine has no room for another thread; raise its limit of processes, or run fewer tasks at a time"
        raise TransientError(why) from error


def _do(job: Future[Result], work: Callable[..., Result], arguments: tuple[Any, ...]) -> None:
    try:
        job.set_result(work(*arguments))
    except BaseException as error:  # noqa: BLE001 - whoever waits for the job raises it
        job.set_exception(error)
