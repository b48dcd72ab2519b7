"""The pacer: keeps a task within its share of the budget, in requests and in entries per second."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import NamedTuple

# A task that was busy elsewhere may catch up this much, in seconds of its rate. Including the request that begins the
# burst, no second then exceeds the share by more than a twentieth.
_BURST_SECONDS = 0.04
# After throttling, the pace falls by twice the fraction of entries that were throttled, at most by half, and recovers
# by a tenth of the task's share per second. Multiplicative decrease and additive increase let tasks share fairly.
# Source: https://datatracker.ietf.org/doc/html/rfc5681 (the same rule keeps TCP fair)
_DECREASE = 2.0
_LEAST_FACTOR = 0.5
_RECOVERY = 0.1
_LEAST = 0.02
# Answers within this time are judged together: requests that were under way together met the same congestion.
_WINDOW_SECONDS = 0.5


# How soon a task that may not send yet asks again, in seconds.
_ASK_AGAIN_SECONDS = 0.05


class _Grant(NamedTuple):
    """A fraction of the rates, and until when it may be used."""

    share: float
    until: float


_NOTHING = _Grant(0.0, -inf)


class Pacer:
    """A token bucket with two rates, per second. The one reached first applies; throttling slows both for a while.

    A rate of None does not limit. The task may send at a share of these rates, at first at all of them; see ``allow``
    and ``lend``. ``clock`` gives seconds and only moves forward. Not safe to use from several threads at once, but for
    these two.
    """

    def __init__(
        self,
        requests_per_second: float | None,
        entries_per_second: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rates = (requests_per_second, entries_per_second)
        self._clock = clock
        self._own, self._lent = _Grant(1.0, inf), _NOTHING
        # Since when it has been at its present share, but for a grant that has run out since.
        self._changed_at = self._free_at = self._window_began = clock()
        self._answered = self._throttled = 0
        # The fraction of its share at which the task sends, above 0 and up to 1.
        self.pace = 1.0
        # What was taken so far, in seconds of the whole rates.
        self.used = 0.0

    def allow(self, share: float, until: float = inf) -> None:
        """Has the task send at ``share`` of the rates until then, by the clock; afterwards it must not send."""
        self._grant(_Grant(share, until), self._lent)

    def lend(self, share: float, until: float) -> None:
        """Has the task send at ``share`` of the rates until then instead, and afterwards at what it is allowed."""
        self._grant(self._own, _Grant(share, until))

    @property
    def share(self) -> float:
        """The fraction of the rates at which the task may send now."""
        return self._share_at(self._clock())

    def worth(self, seconds: float, entries_per_request: float) -> float:
        """How many entries the task may send in so many seconds, with so many a request; infinite without a limit."""
        requests_rate, entries_rate = self._rates
        rate = min(requests_rate * entries_per_request if requests_rate else inf, entries_rate or inf)
        share = self.share
        return share * seconds * rate if share > 0 else 0.0

    def take(self, entries: int) -> float:
        """Takes the right to send a request of so many entries and returns 0, or returns the seconds to wait first."""
        now = self._clock()
        wait = self._free_at - now
        if wait > 0:
            return wait
        share = self._share_at(now)
        if share <= 0:
            return _ASK_AGAIN_SECONDS
        requests_rate, entries_rate = self._rates
        cost = max(1 / requests_rate if requests_rate else 0.0, entries / entries_rate if entries_rate else 0.0)
        self.used += cost
        # Unused time is lost, except for the burst: idling must not save up a flood. Nor may what was saved up at one
        # share be spent at another: somebody else may have had it meanwhile.
        ended = (grant.until for grant in (self._own, self._lent) if grant.until <= now)
        saved_since = max(self._free_at, now - _BURST_SECONDS, self._changed_at, *ended)
        self._free_at = saved_since + cost / (share * self.pace)
        return 0.0

    def _grant(self, own: _Grant, lent: _Grant) -> None:
        now = self._clock()
        # First this: a task that takes between the two must find nothing saved up.
        if _share_at(now, own, lent) != self._share_at(now):
            self._changed_at = now
        self._own, self._lent = own, lent

    def _share_at(self, now: float) -> float:
        return _share_at(now, self._own, self._lent)

    def answered(self, entries: int, throttled: int) -> None:
        """Notes that ``throttled`` of the ``entries`` of a request were throttled, and adapts the pace."""
        self._answered += entries
        self._throttled += throttled
        now = self._clock()
        elapsed = now - self._window_began
        if elapsed < _WINDOW_SECONDS:
            return
        if self._throttled:
            factor = max(_LEAST_FACTOR, 1 - _DECREASE * self._throttled / self._answered)
            self.pace = max(_LEAST, self.pace * factor)
        else:
            self.pace = min(1.0, self.pace + _RECOVERY * elapsed)
        self._window_began = now
        self._answered = self._throttled = 0


def _share_at(now: float, own: _Grant, lent: _Grant) -> float:
    if now < lent.until:
        return lent.share
    return own.share if now < own.until else 0.0
