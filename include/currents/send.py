"""Sends entries in chunks, many requests at a time, and tries again only the entries that failed.

One thread decides everything: it takes in entries and answers from one queue, and starts requests as the pacer and the
circuit let it. So no state is shared but that queue and the count of what waits.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from queue import Empty, SimpleQueue
from threading import Condition, Thread
from types import TracebackType
from typing import NamedTuple, Self

from include.currents.chunk import Chunker
from include.currents.circuit import Circuit
from include.currents.entry import Entry
from include.currents.errors import CurrentsError, SetupError, TransientError
from include.currents.pacer import Pacer
from include.currents.ports import SENT, Failed, Invalid, Result, Target
from include.currents.retry import SETUP_CODES, THROTTLED_CODES, TRANSIENT_CODES, Backoff

log = logging.getLogger(__name__)

# Entries that wait for their request: some tenths of a second at full speed, so that reading never starves sending.
_WAITING = 20_000
# A chunk that is not full waits this long for more, in seconds.
_LINGER = 0.1
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
    entries: list[Entry]
    results: Sequence[Result] | CurrentsError


class Sender:
    """Sends to one target. A context manager, since it owns a thread; leaving it stops the sending.

    ``acknowledge`` is told of accepted entries and ``refuse`` of those that never will be, both in the sender's thread.
    """

    def __init__(
        self,
        target: Target,
        pacer: Pacer,
        *,
        acknowledge: Callable[[Sequence[Entry]], None],
        refuse: Callable[[Refused], None],
        backoff: Backoff | None = None,
        circuit: Circuit | None = None,
        clock: Callable[[], float] = time.monotonic,
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
        self._time_of_day = time_of_day
        self._events: SimpleQueue[list[Entry] | _Answered | None] = SimpleQueue()
        self._pending: deque[Entry] = deque()
        self._chunker = Chunker(target.limits)
        self._next: list[Entry] = []
        self._retries: list[tuple[float, int, Entry]] = []
        self._numbers = count()
        self._tries: dict[tuple[str, int], _Try] = {}
        self._in_flight = 0
        self._setup_refusals = 0
        self._lingers_until = 0.0
        self._flush = False
        self._room = Condition()
        self._waiting = 0
        self._error: CurrentsError | None = None
        self._thread = Thread(target=self._run, name="send", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def put(self, entries: list[Entry]) -> None:
        """Takes entries in to be sent; blocks while too many wait. Raises what ended the sending."""
        with self._room:
            self._wait_while(lambda: self._waiting >= _WAITING)
            self._waiting += len(entries)
        self._events.put(entries)

    def drain(self) -> None:
        """Waits until every entry is accepted or refused. Raises what ended the sending before."""
        self._flush = True
        self._events.put(None)
        with self._room:
            self._wait_while(lambda: self._waiting > 0)
        self._flush = False

    def fail(self, error: CurrentsError) -> None:
        """Ends the sending: no request is started any more, and ``put`` and ``drain`` raise the error."""
        self._error = self._error or error
        self._events.put(None)

    def check(self) -> None:
        """Raises what ended the sending, if anything did."""
        if self._error:
            raise self._error

    def stop(self) -> None:
        """Starts no request any more, and waits a few seconds for the answers of those under way."""
        self.fail(TransientError("the sending was stopped"))
        self._thread.join()

    def _wait_while(self, condition: Callable[[], bool]) -> None:
        # Waking up now and then lets signals through, and sees an error that came without a notice.
        while self._error is None and condition():
            self._room.wait(0.2)
        self.check()

    # From here on: the sender's own thread.

    def _run(self) -> None:
        try:
            while self._error is None:
                self._receive(self._send_what_may_go())
            deadline = self._clock() + _GRACE
            while self._in_flight and (left := deadline - self._clock()) > 0:
                self._receive(left)
        except Exception as error:
            log.exception("sending broke")
            self.fail(CurrentsError(f"sending broke: {error!r}; please report this"))

    def _receive(self, seconds: float) -> None:
        """Takes in what came, waiting for the first for at most so many seconds."""
        try:
            event = self._events.get(timeout=min(seconds, 1.0)) if seconds > 0 else self._events.get_nowait()
            while True:
                if isinstance(event, _Answered):
                    self._in_flight -= 1
                    self._settle(event)
                elif event:
                    if not self._pending:
                        self._lingers_until = self._clock() + _LINGER
                    self._pending.extend(event)
                event = self._events.get_nowait()
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
            wait = self._pacer.take(len(self._next))
            if wait > 0:
                return self._waited(wait)
            self._start(self._next)
            self._next = []
        return 1.0

    def _waited(self, seconds: float) -> float:
        self.stats.waited += min(seconds, 1.0)
        return seconds

    def _next_chunk(self) -> tuple[list[Entry], float]:
        """The entries of the next request, or none and the seconds until there may be some.

        Entries that are to be tried again go first, together with new ones.
        """
        now = self._clock()
        while self._retries and self._retries[0][0] <= now:
            self._pending.appendleft(heapq.heappop(self._retries)[2])
        entries, is_full = self._chunker.peek(self._pending)
        until_retry = self._retries[0][0] - now if self._retries else 1.0
        if not entries:
            return [], until_retry
        linger = self._lingers_until - now
        if not is_full and not self._flush and linger > 0:
            return [], min(linger, until_retry)
        for _ in entries:
            self._pending.popleft()
        return entries, 0.0

    def _start(self, entries: list[Entry]) -> None:
        self._in_flight += 1
        self.stats.requests += 1
        self._target.send(entries, lambda results: self._events.put(_Answered(entries, results)))

    def _settle(self, answer: _Answered) -> None:
        entries, results = answer
        if isinstance(results, CurrentsError):
            self.fail(results)
            return
        if results.count(SENT) == len(results):
            self._pacer.answered(len(entries), 0)
            self._accepted(entries)
            return
        self._accepted([entry for entry, result in zip(entries, results, strict=True) if result == SENT])
        throttled = 0
        for entry, result in zip(entries, results, strict=True):
            if isinstance(result, Failed):
                throttled += result.code in THROTTLED_CODES
                self._failed(entry, result)
            elif isinstance(result, Invalid):
                self._invalid(entry, result, alone=len(entries) == 1)
        self._pacer.answered(len(entries), throttled)
        self._judge(entries, results)

    def _accepted(self, entries: list[Entry]) -> None:
        if not entries:
            return
        self._circuit.succeeded()
        self._setup_refusals = 0
        self.stats.sent += len(entries)
        if self._tries:
            for entry in entries:
                self._tries.pop((entry.resource, entry.row), None)
        self._acknowledge(entries)
        self._leave(len(entries))

    def _failed(self, entry: Entry, result: Failed) -> None:
        place = (entry.resource, entry.row)
        before = self._tries.get(place) or _Try(0, self._time_of_day())
        tried = _Try(before.attempts + 1, before.first)
        self.stats.failed += 1
        self.stats.throttled += result.code in THROTTLED_CODES
        self.stats.maybe_accepted += result.maybe_accepted
        if tried.attempts >= self._backoff.attempts and not self._circuit.is_open:
            self._give_up(entry, result, tried)
            return
        self._tries[place] = tried
        due = self._clock() + self._backoff.delay(tried.attempts - 1)
        heapq.heappush(self._retries, (due, next(self._numbers), entry))

    def _give_up(self, entry: Entry, result: Failed, tried: _Try) -> None:
        """Codes that nobody documents become dead letters; known passing faults are the task's to retry."""
        if result.code in TRANSIENT_CODES:
            self.fail(
                TransientError(
                    f"row {entry.row} of {entry.resource} was still refused after {tried.attempts} attempts: "
                    f"{result.code} {result.message}; clear the task to resume"
                )
            )
            return
        self._refuse_for_good(Refused(entry, result.code, result.message, *tried))

    def _invalid(self, entry: Entry, result: Invalid, *, alone: bool) -> None:
        place = (entry.resource, entry.row)
        before = self._tries.pop(place, None) or _Try(0, self._time_of_day())
        tried = _Try(before.attempts + 1, before.first)
        if result.whole_request and not alone:
            # One entry of the request is to blame; each goes by itself next, so that only that one is parked.
            self._tries[place] = tried
            self._chunker.alone.add(place)
            self._pending.appendleft(entry)
            return
        self._refuse_for_good(Refused(entry, result.code, result.message, *tried))
        self._setup_refusals += result.code in SETUP_CODES
        if self._setup_refusals >= _SETUP_REFUSALS:
            self.fail(
                SetupError(
                    f"{self._setup_refusals} entries in a row were refused with {result.code} {result.message}; "
                    "correct the policy of the bus or of the sender's role, then clear the task to resume"
                )
            )

    def _refuse_for_good(self, refused: Refused) -> None:
        self._tries.pop((refused.entry.resource, refused.entry.row), None)
        self._refuse(refused)
        self._leave(1)

    def _judge(self, entries: Sequence[Entry], results: Sequence[Result]) -> None:
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
                    f"nothing got through for minutes, the last answer was {results[0]}; first row that waits: "
                    f"{entries[0].row} of {entries[0].resource}; clear the task to resume when the service is back"
                )
            )

    def _leave(self, entries: int) -> None:
        with self._room:
            self._waiting -= entries
            self._room.notify_all()
