"""Holds back what a destination accepted until a look finds that it arrived.

Some destinations accept events that they drop: only a look that began after the answer tells. Until then such rows
count as not sent, so they go again if the look finds something wrong, or if the task dies before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from math import inf
from threading import Lock
from types import TracebackType
from typing import Self

from currents_core.crew import Crew, Job, waited_for
from currents_core.entry import Span
from currents_core.errors import CurrentsError, DroppedError, TransientError
from currents_core.ports import Sent

log = logging.getLogger(__name__)

# Nothing is sent when the last look that found nothing wrong began longer ago, in seconds. It bounds what is sent to a
# destination that drops it, and what is held back.
_STALE_SECONDS = 15.0
# Looks that are further apart tell nothing of what was between them, in seconds. So after as long without a look, the
# delivery ends.
_APART_SECONDS = 60.0
_PAUSE = 0.5
# How long the end of a delivery waits for looks, in seconds, unless somebody is in a hurry. What none of them confirms
# goes again.
_LAST_SECONDS = 15.0
_GLANCE = 0.01

Accept = Callable[[Span, Sent], None]


class Confirmer:
    """Passes accepted entries on to ``accept``: at once where ``look`` is None, else after the next look.

    A context manager: entering it looks, so that nothing is sent to a destination that drops it, and leaving it has a
    last look. ``fail`` is called with the fault that must end the delivery. Looks are at least ``every`` seconds apart.
    ``look`` is that of a ``Target``.
    """

    def __init__(
        self,
        crew: Crew,
        look: Callable[[], None] | None,
        *,
        accept: Accept,
        fail: Callable[[CurrentsError], None],
        every: float,
    ) -> None:
        self._crew = crew
        self._look = look
        self._accept = accept
        self._fail = fail
        # Looks that are further apart would hold up the sending.
        self._every = min(every, _STALE_SECONDS / 2)
        # Whoever sends asks for each request: nothing stands between it and a destination that needs no looks.
        self.accept: Accept = self._hold_back if look else accept
        self._held: list[tuple[Span, Sent]] = []
        self._guard = Lock()
        self._starting = crew.lock()
        # Held while entries are passed on, so that a look that comes too late passes on nothing.
        self._passing = crew.lock()
        self._looking: Job[None] | None = None
        self._looked_at = self._seen_at = 0.0
        self._fault: CurrentsError | None = None
        self._is_over = False
        # Nobody waits for looks for longer than that.
        self._hurried_until = inf

    def __enter__(self) -> Self:
        if self._look:
            self._seen_at = self._crew.seconds()
            self._look()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        deadline = self._crew.seconds() + _LAST_SECONDS
        for _ in range(2):
            # A look that is under way does not see the last answers.
            if self._waits and not self._is_over:
                self._wait_for(self._begin(), deadline)
        waits = self._waits
        with self._passing:
            self._is_over = True
        if waits and error is None:
            # What can't be confirmed is not saved, so the delivery is not through.
            raise self._fault or TransientError("the last look took too long; clear the task to resume")

    def hurry(self, seconds: float) -> None:
        """Has looks waited for no longer than ``seconds`` from now, from any thread, once the delivery ends."""
        self._hurried_until = min(self._hurried_until, self._crew.seconds() + seconds)

    @property
    def at_once(self) -> float:
        """Of how many seconds a look passes on at once what was accepted, where none is late."""
        return self._every + _PAUSE if self._look else 0.0

    def hold(self) -> float:
        """Seconds to wait before anything may be sent: 0 unless the last look is too long ago."""
        return _PAUSE if self._look and self._is_stale else 0.0

    def on_beat(self) -> None:
        """Starts a look if one is due: something waits for it, or the last is so long ago that nothing may be sent.

        So there are looks even while nothing is sent, and none of them is too far from the one before.
        """
        if not self._look or self._is_over:
            return
        is_due = self._crew.seconds() - self._looked_at >= self._every
        if is_due and (self._held or self._is_stale):
            self._begin()

    def drain(self, check: Callable[[], None]) -> None:
        """Looks until nothing is held back. ``check`` raises the error that ends the delivery, also during a look."""

        def meanwhile(seconds: float) -> None:
            check()
            self._crew.sleep(seconds)

        while self._waits:
            check()
            waited_for(self._begin(), meanwhile)
            if self._held:
                self._crew.sleep(_PAUSE)
        check()

    @property
    def _waits(self) -> bool:
        """Whether entries are held back, or a look that took them on has not ended."""
        with self._starting:
            return bool(self._held) or bool(self._looking and not self._looking.done())

    @property
    def _is_stale(self) -> bool:
        return self._crew.seconds() - self._seen_at >= _STALE_SECONDS

    def _hold_back(self, span: Span, result: Sent) -> None:
        with self._guard:
            self._held.append((span, result))

    def _begin(self) -> Job[None]:
        """Starts a look, unless one is under way."""
        with self._starting:
            if self._looking is None or self._looking.done():
                self._looking = self._crew.start(self._look_now)
            return self._looking

    def _wait_for(self, looking: Job[None], deadline: float) -> None:
        """Returns when a look has ended, or when it is late."""
        while not looking.done() and self._crew.seconds() < min(deadline, self._hurried_until):
            self._crew.sleep(_GLANCE)

    def _look_now(self) -> None:
        """Looks, and passes on what was accepted before it."""
        assert self._look
        if self._is_over:
            return
        self._looked_at = began = self._crew.seconds()
        with self._guard:
            held, self._held = self._held, []
        try:
            self._look()
            self._require_near()
        except Exception as error:  # noqa: BLE001 - what was held back must not be lost, whatever it is
            with self._guard:
                self._held = held + self._held
            self._not_seen(_fault_of(error))
            return
        self._pass_on(held, began)

    def _pass_on(self, held: Sequence[tuple[Span, Sent]], began: float) -> None:
        """Passes on what a look that began then has seen, unless nobody waits for it any more."""
        with self._passing:
            if self._is_over:
                return
            self._seen_at = began
            for span, result in held:
                self._accept(span, result)

    def _require_near(self) -> None:
        apart = self._crew.seconds() - self._seen_at
        if apart >= _APART_SECONDS:
            raise DroppedError(
                f"nobody looked at the destination for {apart:.0f} s, so it may have dropped what was sent; that goes "
                "again, clear the task to resume"
            )

    def _not_seen(self, error: CurrentsError) -> None:
        self._fault = error
        may_pass = isinstance(error, TransientError) and not isinstance(error, DroppedError)
        if may_pass and self._crew.seconds() - self._seen_at < _APART_SECONDS:
            log.warning("what was sent can't be confirmed yet: %s", error)
            return
        self._is_over = True
        self._fail(error)


def _fault_of(error: Exception) -> CurrentsError:
    """The fault for whatever a look raised: what nobody has foreseen may pass as well."""
    if isinstance(error, CurrentsError):
        return error
    log.error("unexpected failure of a look", exc_info=error)
    return TransientError(f"unexpected failure of a look: {error!r}; please report this")
