"""Sends entries in chunks, many requests at a time, and tries again only the entries that failed.

Nothing here runs by itself: requests start, and answers are taken in, while the caller puts entries, pumps or drains. A
thread of its own was tried, and cost a third more: two threads that compute in Python pass its lock back and forth.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import NamedTuple, Self

from include.currents.chunk import next_chunk, remove
from include.currents.circuit import Circuit
from include.currents.entry import Entries, Entry, Span
from include.currents.errors import CurrentsError, SetupError, TransientError
from include.currents.pacer import Pacer
from include.currents.ports import SENT, Failed, Invalid, Result, Target
from include.currents.retry import SETUP_CODES, THROTTLED_CODES, TRANSIENT_CODES, Backoff

log = logging.getLogger(__name__)

# Entries that may wait while the next ones are prepared.
_WAITING = 2_000
# A chunk that is not full waits this long for more, in seconds.
_LINGER = 0.1
# With more requests under way than this, answers are taken in together, after this many seconds.
_BUSY = 16
_NAP = 0.001
# How long requests under way may take to end when the sending stops, in seconds. Airflow kills soon after.
_GRACE = 3.0
# Refusals in a row, none accepted between, that mean that the set-up is wrong and not some entries.
_SETUP_REFUSALS = 100


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that will never be accepted: after how many attempts that was clear, and since when it was tried."""

    entry: Entry
    code: str
    reason: str
    attempts: int
    first_try: float


@dataclass(slots=True)
class SendStats:
    """What sending came to: requests, entries accepted, and what went wrong with how many of them."""

    requests: int = 0
    sent: int = 0
    throttled: int = 0
    failed: int = 0
    maybe_accepted: int = 0
    waited: float = 0.0

    def notes(self) -> dict[str, int]:
        """What is worth a note in an account."""
        return {"sent again though maybe accepted": self.maybe_accepted} if self.maybe_accepted else {}


class _Try(NamedTuple):
    """How often an entry was tried, and when first, as a time of day in seconds."""

    attempts: int
    first: float


class _Answered(NamedTuple):
    chunk: list[Span]
    results: Sequence[Result] | CurrentsError


class Sender:
    """Sends to one target, for one thread. A context manager: leaving it stops the sending.

    ``acknowledge`` is told of accepted entries and ``refuse`` of those that never will be.
    """

    def __init__(
        self,
        target: Target,
        pacer: Pacer,
        *,
        acknowledge: Callable[[Span], None],
        refuse: Callable[[Refused], None],
        backoff: Backoff | None = None,
        circuit: Circuit | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        time_of_day: Callable[[], float] = time.time,
    ) -> None:
        self.stats = SendStats()
        self._target = target
        self._pacer = pacer
        self._acknowledge = acknowledge
        self._refuse = refuse
        self._backoff = backoff or Backoff()
        self._circuit = circuit or Circuit()
        self._clock = clock
        self._sleep = sleep
        self._time_of_day = time_of_day
        # Answers, which come from any thread, and None to wake up whoever waits for one.
        self._answers: SimpleQueue[_Answered | None] = SimpleQueue()
        self._pending: deque[Span] = deque()
        self._next: list[Span] = []
        self._retries: list[tuple[float, int, Span]] = []
        self._numbers = count()
        self._tries: dict[tuple[str, int], _Try] = {}
        self._in_flight = 0
        self._setup_refusals = 0
        self._lingers_until = 0.0
        self._flush = False
        self._waiting = 0
        self._error: CurrentsError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def put(self, entries: Entries) -> None:
        """Takes entries in to be sent, and sends until few enough wait. Raises what ended the sending."""
        if not self._pending:
            self._lingers_until = self._clock() + _LINGER
        self._pending.append(Span(entries, 0, len(entries)))
        self._waiting += len(entries)
        self.pump(0.0)
        while self._waiting > _WAITING:
            self.pump(1.0)

    def pump(self, seconds: float) -> None:
        """Sends what may go, and takes in answers, waiting for the first for at most so many seconds."""
        self.check()
        self._receive(min(self._send_what_may_go(), seconds))
        self.check()

    def drain(self) -> None:
        """Sends until every entry is accepted or refused. Raises what ended the sending before."""
        self._flush = True
        while self._waiting:
            self.pump(1.0)
        self._flush = False
        self.check()

    def fail(self, error: CurrentsError) -> None:
        """Ends the sending, from any thread: what sends now, or would later, raises the error."""
        self._error = self._error or error
        self._answers.put(None)

    def check(self) -> None:
        """Raises what ended the sending, if anything did."""
        if self._error:
            raise self._error

    def stop(self) -> None:
        """Starts no request any more, and takes in the answers of those under way, for a few seconds."""
        self.fail(TransientError("the sending was stopped"))
        deadline = self._clock() + _GRACE
        while self._in_flight and (left := deadline - self._clock()) > 0:
            self._receive(left)

    def _receive(self, seconds: float) -> None:
        """Takes in the answers that came, waiting for the first for at most so many seconds."""
        if seconds > 0 and self._in_flight > _BUSY:
            # Being woken up by every single answer costs a fifth of all that sending costs.
            self._sleep(_NAP)
        try:
            answer = self._answers.get(timeout=seconds) if seconds > 0 else self._answers.get_nowait()
            while True:
                if answer:
                    self._in_flight -= 1
                    self._settle(answer)
                answer = self._answers.get_nowait()
        except Empty:
            pass

    def _send_what_may_go(self) -> float:
        """Starts as many requests as may start; returns the seconds after which to look again, if nothing comes."""
        while self._in_flight < self._target.in_flight:
            wait = self._circuit.wait(self._in_flight)
            if wait > 0:
                return self._waited(wait)
            if not self._next:
                self._next, wait = self._next_chunk()
                if not self._next:
                    return wait
            wait = self._pacer.take(sum(map(len, self._next)))
            if wait > 0:
                return self._waited(wait)
            self._start(self._next)
            self._next = []
        return 1.0

    def _waited(self, seconds: float) -> float:
        self.stats.waited += min(seconds, 1.0)
        return seconds

    def _next_chunk(self) -> tuple[list[Span], float]:
        """The entries of the next request, or none and the seconds until there may be some.

        Entries that are to be tried again go first, together with new ones.
        """
        now = self._clock()
        while self._retries and self._retries[0][0] <= now:
            self._pending.appendleft(heapq.heappop(self._retries)[2])
        chunk, is_full = next_chunk(self._pending, self._target.limits)
        until_retry = self._retries[0][0] - now if self._retries else 1.0
        if not chunk:
            return [], until_retry
        linger = self._lingers_until - now
        if not is_full and not self._flush and linger > 0:
            return [], min(linger, until_retry)
        remove(chunk, self._pending)
        return chunk, 0.0

    def _start(self, chunk: list[Span]) -> None:
        self._in_flight += 1
        self.stats.requests += 1
        self._target.send(chunk, lambda results: self._answers.put(_Answered(chunk, results)))

    def _settle(self, answer: _Answered) -> None:
        chunk, results = answer
        if isinstance(results, CurrentsError):
            self.fail(results)
            return
        if results.count(SENT) == len(results):
            self._pacer.answered(len(results), 0)
            self._accepted(chunk, len(results))
            return
        each = [one for span in chunk for one in span.each()]
        accepted = [span for span, result in zip(each, results, strict=True) if result == SENT]
        self._accepted(accepted, len(accepted))
        throttled = 0
        for span, result in zip(each, results, strict=True):
            if isinstance(result, Failed):
                throttled += result.code in THROTTLED_CODES
                self._failed(span, result)
            elif isinstance(result, Invalid):
                self._invalid(span, result, alone=len(each) == 1)
        self._pacer.answered(len(results), throttled)
        self._judge(each[0], results)

    def _accepted(self, spans: list[Span], count: int) -> None:
        if not count:
            return
        self._circuit.succeeded()
        self._setup_refusals = 0
        self.stats.sent += count
        for span in spans:
            if self._tries:
                for row in span.rows:
                    self._tries.pop((span.entries.resource, row), None)
            self._acknowledge(span)
        self._waiting -= count

    def _tried(self, span: Span) -> _Try:
        """The tries of an entry, with the one that was just answered."""
        before = self._tries.get(_place(span)) or _Try(0, self._time_of_day())
        return _Try(before.attempts + 1, before.first)

    def _failed(self, span: Span, result: Failed) -> None:
        tried = self._tried(span)
        self.stats.failed += 1
        self.stats.throttled += result.code in THROTTLED_CODES
        self.stats.maybe_accepted += result.maybe_accepted
        if tried.attempts >= self._backoff.attempts and not self._circuit.is_open:
            self._give_up(span, result, tried)
            return
        self._tries[_place(span)] = tried
        due = self._clock() + self._backoff.delay(tried.attempts - 1)
        heapq.heappush(self._retries, (due, next(self._numbers), span))

    def _give_up(self, span: Span, result: Failed, tried: _Try) -> None:
        """Codes that nobody documents become dead letters; known passing faults are the task's to retry."""
        if result.code in TRANSIENT_CODES:
            self.fail(
                TransientError(
                    f"{_name(span)} was still refused after {tried.attempts} attempts: "
                    f"{result.code} {result.message}; clear the task to resume"
                )
            )
            return
        self._refuse_for_good(span, result, tried)

    def _invalid(self, span: Span, result: Invalid, *, alone: bool) -> None:
        tried = self._tried(span)
        if result.whole_request and not alone:
            # One entry of the request is to blame; each goes by itself next, so that only that one is parked.
            self._tries[_place(span)] = tried
            self._pending.appendleft(replace(span, alone=True))
            return
        self._refuse_for_good(span, result, tried)
        self._setup_refusals += result.code in SETUP_CODES
        if self._setup_refusals >= _SETUP_REFUSALS:
            self.fail(
                SetupError(
                    f"{self._setup_refusals} entries in a row were refused with {result.code} {result.message}; "
                    "correct the policy of the bus or of the sender's role, then clear the task to resume"
                )
            )

    def _refuse_for_good(self, span: Span, result: Failed | Invalid, tried: _Try) -> None:
        self._tries.pop(_place(span), None)
        [entry] = span
        self._refuse(Refused(entry, result.code, result.message, *tried))
        self._waiting -= 1

    def _judge(self, first: Span, results: Sequence[Result]) -> None:
        """Tells the circuit of a request of which nothing got through, and ends where patience does."""
        if not all(isinstance(result, Failed) for result in results):
            self._circuit.succeeded()
            return
        was_open = self._circuit.is_open
        self._circuit.failed()
        if self._circuit.is_open and not was_open:
            log.warning("every request fails, the last with %s; sending slows to single probes", results[0])
        if self._circuit.given_up:
            self.fail(
                TransientError(
                    f"nothing got through for minutes, the last answer was {results[0]}; {_name(first)} waits; "
                    "clear the task to resume when the service is back"
                )
            )


def _place(span: Span) -> tuple[str, int]:
    return span.entries.resource, span.entries.rows[span.start]


def _name(span: Span) -> str:
    return f"row {span.entries.rows[span.start]} of {span.entries.resource}"
