"""Verdicts: what an answer means for the entries of its request: through, to be tried again, or the end of sending."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

from currents_core.entry import Span
from currents_core.errors import SetupError, TransientError, shown
from currents_core.ports import SENT, Failed, Invalid, Result, Sent
from currents_core.sending.circuit import Circuit
from currents_core.sending.figures import SendFigures
from currents_core.sending.retry import Backoff
from currents_core.sending.tries import Tries, Try

log = logging.getLogger(__name__)

# So many entries that are refused by a policy, or given up for a code that nobody documents, while none is accepted,
# mean that these entries are not to blame.
_MOST_IN_A_ROW = 100


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that will never be accepted, as a span of one, and why.

    ``attempts`` is how often it was tried; ``first_try`` is when first, in seconds since the epoch.
    """

    span: Span
    code: str
    reason: str
    attempts: int
    first_try: float


@dataclass
class Verdicts:
    """Judges answers: counts in ``figures``, and schedules in ``tries`` what to try again.

    ``acknowledge`` is called with accepted entries and how they were, and ``refuse`` with each entry that never will
    be accepted.
    """

    figures: SendFigures
    tries: Tries
    backoff: Backoff
    circuit: Circuit
    acknowledge: Callable[[Span, Sent], None]
    refuse: Callable[[Refused], None]
    # How many were refused by a policy, and given up, since one was accepted.
    _by_policy: int = 0
    _given_up: int = 0
    _accepted_at: float = -inf

    def judge(self, chunk: Sequence[Span], results: Sequence[Result]) -> int:
        """Judges the answer for a chunk, one result per entry, in order. Returns the bytes of entries that are through.

        Raises TransientError or SetupError if the answer ends the sending.
        """
        first = results[0]
        if isinstance(first, Sent) and results.count(first) == len(results):
            self._accepted([(span, first) for span in chunk], len(results))
            return sum(span.size for span in chunk)
        each = [one for span in chunk for one in span.each()]
        accepted = [(span, result) for span, result in zip(each, results, strict=True) if isinstance(result, Sent)]
        self._accepted(accepted, len(accepted))
        through = sum(span.size for span, _ in accepted)
        are_known = all(map(self.tries.knows, each))
        for span, result in zip(each, results, strict=True):
            if isinstance(result, Failed):
                through += self._failed(span, result) * span.size
            elif isinstance(result, Invalid):
                through += self._invalid(span, result, alone=len(each) == 1) * span.size
        self._tell_circuit(each[0], results, are_known=are_known)
        return through

    def _accepted(self, accepted: Sequence[tuple[Span, Sent]], count: int) -> None:
        if not count:
            return
        self.circuit.succeeded()
        self._by_policy = self._given_up = 0
        self._accepted_at = self.tries.time_of_day()
        self.figures.sent += count
        for span, result in accepted:
            self.tries.forget(span)
            self.acknowledge(span, result)

    def _failed(self, span: Span, result: Failed) -> bool:
        """Whether the entry is through."""
        tried = self.tries.count(span)
        self.figures.failed += 1
        self.figures.throttled += result.cause == "throttled"
        self.figures.maybe_accepted += result.maybe_accepted
        has_patience = self.tries.time_of_day() - tried.first < self.backoff.patience
        if tried.attempts < self.backoff.attempts or has_patience or self.circuit.is_open:
            self.tries.again(span, self.backoff.delay(tried.attempts - 1))
            return False
        if result.cause != "undocumented":
            # It is left to the task's retry; only undocumented codes become dead letters.
            raise TransientError(
                f"still refused after {tried.attempts} attempts: {result.code} {result.message}; "
                "clear the task to resume",
                uri=_name(span),
                code=result.code,
            )
        # Where others were accepted while this one was tried, it is to blame itself.
        self._given_up += tried.first > self._accepted_at
        if self._given_up >= _MOST_IN_A_ROW:
            raise TransientError(
                f"{self._given_up} entries in a row failed for minutes with {result.code} {result.message}, which AWS "
                "does not document; clear the task to resume once the service is back",
                uri=_name(span),
                code=result.code,
            )
        self._refused(span, result, tried)
        return True

    def _invalid(self, span: Span, result: Invalid, *, alone: bool) -> bool:
        """Whether the entry is through."""
        tried = self.tries.count(span)
        if result.whole_request and not alone:
            # One entry of the request is to blame. Each is sent alone next, so that only that one is parked.
            self.tries.again(replace(span, alone=True), 0.0)
            return False
        self._by_policy += result.by_policy
        if self._by_policy >= _MOST_IN_A_ROW:
            raise SetupError(
                f"{self._by_policy} entries in a row were refused with {result.code} {result.message}; "
                "correct the policy of the bus or of the sender's role, then clear the task to resume",
                code=result.code,
            )
        self._refused(span, result, tried)
        return True

    def _refused(self, span: Span, result: Failed | Invalid, tried: Try) -> None:
        self.tries.forget(span)
        self.refuse(Refused(span, result.code, result.message, *tried))

    def _tell_circuit(self, first: Span, results: Sequence[Result], *, are_known: bool) -> None:
        """Tells the circuit whether anything got through. Raises TransientError if the circuit has given up.

        ``are_known``: all of the entries were tried before.
        """
        failures = [result for result in results if isinstance(result, Failed)]
        if len(failures) < len(results):
            self.circuit.succeeded()
            return
        is_theirs = are_known and all(each.cause == "undocumented" for each in failures)
        if is_theirs and not self.circuit.is_open:
            # The same few entries, which may be at fault themselves, tell nothing of all others.
            return
        answer = f"{failures[0].code} {failures[0].message}".strip()
        was_open = self.circuit.is_open
        self.circuit.failed()
        if self.circuit.is_open and not was_open:
            log.warning("every request fails, the latest with %s; slowing down to one probe at a time", answer)
        if self.circuit.given_up:
            raise TransientError(
                f"nothing got through for minutes, and {_name(first)} still waits; the last answer was {answer}; "
                "clear the task to resume once the service is back"
            )


def throttled(results: Sequence[Result]) -> int:
    """How many of the results say that an entry was throttled."""
    if results.count(SENT) == len(results):
        return 0
    return sum(isinstance(result, Failed) and result.cause == "throttled" for result in results)


def _name(span: Span) -> str:
    return f"{shown(span.entries.common.resource)}, row {span.entries.rows[span.start]}"
