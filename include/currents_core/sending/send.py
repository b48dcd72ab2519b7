"""Sends entries in chunks, many requests at a time, and tries again only the entries that failed.

There is no thread of its own. Whichever thread brings news handles all news so far and starts the requests that may
start: the caller's thread when it puts entries, and the transport's when an answer arrives. So sending does not wait
for reading, and the two threads pass Python's lock to each other as rarely as possible.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from types import TracebackType
from typing import NamedTuple, Self

from currents_core.crew import Crew, Threads
from currents_core.entry import Entries, Span
from currents_core.errors import CurrentsError, TransientError
from currents_core.ports import Result, Sent, Target
from currents_core.sending.chunk import next_chunk, remove
from currents_core.sending.circuit import Circuit
from currents_core.sending.figures import SendFigures
from currents_core.sending.pacer import Pacer
from currents_core.sending.retry import Backoff
from currents_core.sending.tries import Tries
from currents_core.sending.turn import Turn
from currents_core.sending.verdict import Refused, Verdicts, throttled

log = logging.getLogger(__name__)

# The bytes of the entries that may wait while the next ones are prepared, for each entry that a request may have. With
# more, preparing and sending compute at the same time for longer, which made small entries a sixth more expensive; with
# less, nothing is sent meanwhile.
_WAITING = 60_000
# How long a chunk that is not full waits for more entries, in seconds.
_LINGER = 0.1
# The longest and the shortest wait of the caller, in seconds. Each time it wakes up, the thread that sends must hand it
# Python's lock: doing so every 10 ms makes sending a tenth more expensive.
_LONGEST, _SHORTEST = 1.0, 0.001
# What was sent and is not saved goes again if the task is killed. It is never more than may be sent in so many seconds;
# where answers and checkpoints take as long as usual, it comes to about six tenths of that, and nothing waits.
AT_RISK_SECONDS = 1.0
# How soon to look again whether something was saved, in seconds.
_UNSAVED_PAUSE = 0.02
# How long to wait for requests in flight when sending stops, in seconds, unless somebody is in a hurry. What is
# answered later goes again, and a destination, or a machine, that is busy may be seconds behind.
_GRACE = 15.0


class _Answered(NamedTuple):
    chunk: list[Span]
    entries: int
    results: Sequence[Result] | CurrentsError


class Sender:
    """Sends to one target, for one caller. A context manager: leaving it stops the sending.

    ``acknowledge`` is called with accepted entries and how they were, and ``refuse`` with each entry that never will
    be accepted. These two, the target, the pacer and the circuit are used from any thread, but only from one at a time.
    Nothing is sent while ``hold`` gives seconds to wait for. What is in flight, and what was accepted and is
    ``unsaved``, goes again if the task is killed: it is never more than may be sent in ``at_risk`` seconds.
    """

    def __init__(
        self,
        target: Target,
        pacer: Pacer,
        *,
        acknowledge: Callable[[Span, Sent], None],
        refuse: Callable[[Refused], None],
        backoff: Backoff | None = None,
        circuit: Circuit | None = None,
        hold: Callable[[], float] = lambda: 0.0,
        unsaved: Callable[[], int] = lambda: 0,
        at_risk: float = AT_RISK_SECONDS,
        crew: Crew | None = None,
    ) -> None:
        crew, backoff = crew or Threads(), backoff or Backoff()
        clock = crew.seconds
        self.figures = SendFigures()
        self._target = target
        self._pacer = pacer
        self._circuit = circuit or Circuit(backoff=replace(backoff, base=0.5, cap=15.0), clock=clock)
        self._hold = hold
        self._unsaved = unsaved
        self._at_risk_seconds = at_risk
        self._clock = clock
        # News are answers, or None to look at the clock only.
        self._turn = Turn[_Answered | None](self._take_turn)
        self._woken = crew.signal()
        self._error: CurrentsError | None = None
        # The turn's lock guards everything from here on.
        self._pending: deque[Span] = deque()
        self._next: list[Span] = []
        self._tries = Tries(clock, lambda: crew.now().timestamp())
        self._verdicts = Verdicts(
            self.figures, self._tries, backoff, self._circuit, acknowledge=acknowledge, refuse=refuse
        )
        self._in_flight = 0
        self._entries_in_flight = self._entries_started = 0
        # How many entries were unsaved when it was looked at, less those that were accepted by then.
        self._unsaved_less_sent = 0
        self._lingers_until = 0.0
        self._flush = False
        self._waiting = 0
        self._blocked_at: float | None = None
        # When something is due that no answer triggers, and until when the caller means to sleep.
        self._look_at = self._sleeps_until = 0.0
        # The caller is woken up when at most this many bytes of entries wait.
        self._enough = -1
        self._ended = False
        # Nobody waits for answers for longer than that.
        self._hurried_until = inf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def put(self, entries: Entries) -> None:
        """Accepts entries to send, and sends until few enough wait. Raises the error that ended the sending."""
        self.check()
        with self._turn.held(self.check):
            if not self._pending:
                self._lingers_until = self._clock() + _LINGER
            span = Span(entries, 0, len(entries))
            self._pending.append(span)
            self._waiting += span.size
        self._look()
        self._work_off(_WAITING * self._target.limits.entries_per_request)
        self.check()

    def pump(self, seconds: float = _LONGEST) -> None:
        """Sends what may be sent, and waits at most ``seconds``. Raises the error that ended the sending."""
        self.check()
        self._look()
        # From here on, whoever finds that something is due wakes this up. What was found before is checked below.
        self._sleeps_until = inf
        self._woken.clear()
        now = self._clock()
        self._sleeps_until = max(now + _SHORTEST, min(self._look_at, now + seconds))
        if self._waiting > self._enough and not self._error:
            self._woken.wait(self._sleeps_until - now)
        self.check()

    def drain(self) -> None:
        """Sends until every entry is accepted or refused. Raises the error that ended the sending before that."""
        self._flush = True
        self._work_off(0)
        self._flush = False
        self.check()

    def fail(self, error: CurrentsError) -> None:
        """Ends the sending, from any thread: the caller's current call, and every later one, raises ``error``."""
        self._error = self._error or error
        self._woken.set()

    def check(self) -> None:
        """Raises the error that ended the sending, if there is one."""
        if self._error:
            raise self._error

    def hurry(self, seconds: float) -> None:
        """Has answers waited for no longer than ``seconds`` from now, from any thread, once the sending is ended."""
        self._hurried_until = min(self._hurried_until, self._clock() + seconds)
        self._woken.set()

    def stop(self) -> None:
        """Starts no more requests, and waits some seconds for the answers to those in flight."""
        self.fail(TransientError("sending was stopped"))
        deadline = self._clock() + _GRACE
        self._turn.bring(None)
        while not self._ended and (left := min(deadline, self._hurried_until) - self._clock()) > 0:
            self._woken.wait(min(_LONGEST, left))
            self._woken.clear()
            self._turn.bring(None)
        # Without the lock: whoever has it may hang, such as in the renewal of credentials.
        self._ended = True

    def _work_off(self, enough: int) -> None:
        """Pumps until at most ``enough`` bytes of entries wait."""
        self._enough = enough
        while self._waiting > enough:
            self.pump()
        self._enough = -1

    def _look(self) -> None:
        """Does what is due or must be started; everything else is left to the thread that brings the next answer.

        If the caller did more, both threads would compute at the same time, which costs a sixth more.
        """
        if not self._in_flight or self._clock() >= self._look_at:
            self._turn.bring(None)

    def _take_turn(self, news: deque[_Answered | None]) -> None:
        """Handles all news, and starts the requests that may start."""
        try:
            while news:
                # After the end, nobody waits for answers.
                if (answer := news.popleft()) and not self._ended:
                    self._in_flight -= 1
                    self._entries_in_flight -= answer.entries
                    self._judge(answer)
            if not self._error:
                self._look_at = self._clock() + self._send_what_may_go()
            if not self._in_flight and self._error:
                # Only in a turn it is certain that none is just being started.
                self._ended = True
        except Exception as error:
            # In a thread of the transport, nobody would see the exception.
            log.exception("unexpected failure while sending")
            self.fail(CurrentsError(f"unexpected failure while sending: {error!r}; please report this"))
        is_through = self._waiting <= self._enough or (self._error and not self._in_flight)
        if is_through or self._look_at < self._sleeps_until - _SHORTEST:
            self._woken.set()

    def _send_what_may_go(self) -> float:
        """Starts as many requests as may start. Returns the seconds after which to look again if there is no news."""
        while self._in_flight < self._target.in_flight and not self._error:
            wait = self._hold() or self._circuit.wait(self._in_flight)
            if wait > 0:
                return self._blocked(wait)
            if not self._next:
                self._next, wait = self._next_chunk()
                if not self._next:
                    return wait
            entries = sum(map(len, self._next))
            wait = self._wait_for_saving(entries) or self._pacer.take(entries)
            if wait > 0:
                return self._blocked(wait)
            if self._blocked_at is not None:
                self.figures.waited += self._clock() - self._blocked_at
                self._blocked_at = None
            self._start(self._next, entries)
            self._next = []
        return 1.0

    def _wait_for_saving(self, entries: int) -> float:
        """Seconds to wait before so many entries may be sent, for what was accepted to be saved."""
        # Where entries are large, requests are not full.
        per_request = max(entries, self._entries_started / max(self.figures.requests, 1))
        most = self._pacer.worth(self._at_risk_seconds, per_request) - entries
        if self._at_risk <= most:
            return 0.0
        # To count takes a while, and most of it is saved by now.
        self._unsaved_less_sent = self._unsaved() - self.figures.sent
        # Where a second is worth less than a request, one at a time may go.
        return 0.0 if self._at_risk <= max(most, 0) else _UNSAVED_PAUSE

    @property
    def _at_risk(self) -> int:
        """How many entries would go again, at most, if the task were killed now."""
        return self._entries_in_flight + self._unsaved_less_sent + self.figures.sent

    def _blocked(self, seconds: float) -> float:
        if self._blocked_at is None:
            self._blocked_at = self._clock()
        return seconds

    def _next_chunk(self) -> tuple[list[Span], float]:
        """The entries of the next request, or none and the seconds until there may be some.

        Entries to be tried again come first, followed by new ones.
        """
        self._pending.extendleft(self._tries.take_due())
        chunk, is_full = next_chunk(self._pending, self._target.limits)
        if not chunk:
            return [], self._tries.wait()
        linger = self._lingers_until - self._clock()
        if not is_full and not self._flush and linger > 0:
            return [], min(linger, self._tries.wait())
        remove(chunk, self._pending)
        return chunk, 0.0

    def _start(self, chunk: list[Span], entries: int) -> None:
        self._target.send(chunk, lambda results: self._turn.bring(_Answered(chunk, entries, results)))
        # An answer that is there already waits for this turn to end; a request that could not be made has none.
        self._in_flight += 1
        self._entries_in_flight += entries
        self._entries_started += entries
        self.figures.requests += 1

    def _judge(self, answer: _Answered) -> None:
        chunk, _, results = answer
        try:
            if isinstance(results, CurrentsError):
                raise results
            self._pacer.answered(len(results), throttled(results))
            self._waiting -= self._verdicts.judge(chunk, results)
        except CurrentsError as error:
            self.fail(error)
