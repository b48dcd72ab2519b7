"""The share of one delivery in the budget of its connector, which all deliveries of the connector divide.

Each tells on the ``roll`` that it sends, and what it wants. Nobody decides for all: whoever wants more than its part
reads the roll again and again, and takes its share of what the others leave (``divide``). Three rules keep the sum
within the budget at every moment, whatever the tasks' clocks say and whoever stalls or dies:

- What a task takes beyond its part is valid for VALID_SECONDS from the beginning of the reading that it follows from.
- Who begins to send, or to take more, tells so first. It then begins once a reading shows that nobody else wants more
  than its part, or else after VALID_SECONDS: by then whoever does has seen it.
- Who wants less takes less before it tells so.

A task sends only while the others are certain to know of it.
"""

from __future__ import annotations

import logging
from math import inf
from types import TracebackType
from typing import NamedTuple, Self

from currents_core.books.layout import Member
from currents_core.crew import Crew, Job
from currents_core.delivering.divide import Demand, members, share_of, wants_more
from currents_core.delivering.roll import Roll
from currents_core.errors import ConflictError, CurrentsError
from currents_core.sending.pacer import Pacer

log = logging.getLogger(__name__)

VALID_SECONDS = 3.0
# Readings and signs of life make less than a request per second, and a reading that fails does no harm.
_LOOK_SECONDS = 1.25
_SIGN_SECONDS = 10.0
# So long after a sign of life began a task trusts in it: less than GONE_SECONDS, which others count from its arrival.
_KNOWN_SECONDS = 25.0
# How often a task that begins looks whether it may.
_POLL_SECONDS = 0.05


class _Seen(NamedTuple):
    """The other tasks, as a reading of the roll shows them that began at ``began`` by the crew's clock."""

    began: float
    others: list[Member]


class Share:
    """Paces one delivery by ``pacer``, whose rates are the whole budget. A context manager, for as long as it sends.

    ``part`` is the fraction of the budget that the slots of its task are worth, and ``limit`` the most that it may use.
    The pacer's clock must be the crew's. No fault of the store fails the delivery: without the roll, it keeps to its
    part.
    """

    def __init__(self, roll: Roll, pacer: Pacer, crew: Crew, *, part: float, limit: float = 1.0) -> None:
        self._roll = roll
        self._pacer = pacer
        self._crew = crew
        self._part = part
        self._limit = limit
        self._ended = crew.signal()
        self._look: Job[_Seen | None] | None = None
        # What the others were told and since when they know, what may be used of it, and until when they know the task.
        self._told, self._told_at, self._usable, self._known_until = part, -inf, part, -inf
        self._lent, self._lent_until = part, -inf
        self._used, self._used_at = 0.0, 0.0
        # Whether it was told that the roll can't be read.
        self._is_blind = False
        self._demand = Demand(part, limit)

    def __enter__(self) -> Self:
        self._pacer.allow(0.0)
        self._beat = self._crew.begin_beat(self._keep)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._beat.result()
        self._stop()
        self._roll.leave()

    def _keep(self) -> None:
        try:
            self._join()
            while not self._ended.wait(_LOOK_SECONDS):
                if not self._goes_on():
                    self._join()
        except Exception as error:  # noqa: BLE001 - the delivery goes on
            # What keeps this task from the roll probably keeps all from it, and then nobody takes more than its part.
            reason = error if isinstance(error, CurrentsError) else repr(error)
            log.warning("%s: keeps to its part of the budget, since it can't share it: %s", self._roll.owner, reason)
            self._stop()
            self._ended.wait(VALID_SECONDS)
            self._pacer.allow(self._part)

    def _goes_on(self) -> bool:
        """Whether the others know of the task all the time, and it knows what it may use."""
        try:
            if is_known := self._is_known():
                self._adjust()
        except Exception as error:  # noqa: BLE001 - whatever it was, it may not come again
            log.warning("%s: joins those who share the budget anew: %s", self._roll.owner, error)
            return False
        return is_known

    def _join(self) -> None:
        """Has all tasks know of this one, and then allows it its part."""
        self._stop()
        began = self._crew.seconds()
        while not self._tell(self._part):
            if self._ended.wait(_LOOK_SECONDS):
                return
            began = self._crew.seconds()
        self._known_until = began + _KNOWN_SECONDS
        self._demand, self._usable = Demand(self._part, self._limit), self._part
        self._look = self._crew.start(self._read)
        while not self._may_begin(self._seen()):
            if self._ended.wait(_POLL_SECONDS):
                return
        self._used, self._used_at = self._pacer.used, self._crew.seconds()
        self._pacer.allow(self._part, self._known_until)

    def _stop(self) -> None:
        self._lend(self._part, -inf)
        self._pacer.allow(0.0)

    def _tell(self, want: float) -> bool:
        if not self._roll.tell(self._part, want):
            return False
        self._told, self._told_at = want, self._crew.seconds()
        return True

    def _may_begin(self, seen: _Seen | None) -> bool:
        """Whether the task may use what it told last, after which ``seen`` began."""
        is_alone = seen is not None and not any(map(wants_more, seen.others))
        return is_alone or self._crew.seconds() >= self._told_at + VALID_SECONDS

    def _is_known(self) -> bool:
        """Shows that the task is alive, if that is due. Returns whether the others know of it all the time."""
        began = self._crew.seconds()
        if began < self._known_until - _KNOWN_SECONDS + _SIGN_SECONDS:
            return True
        try:
            is_renewed = self._roll.renew()
        except ConflictError:
            return False
        # A sign that came too late was not there in time.
        if self._crew.seconds() >= self._known_until:
            return False
        if is_renewed:
            self._known_until = began + _KNOWN_SECONDS
            self._pacer.allow(self._part, self._known_until)
        return True

    def _adjust(self) -> None:
        """Borrows what a reading allows, finds out from its use what to want, and reads again."""
        if (seen := self._seen()) and seen.began >= self._told_at:
            self._borrow(seen)
        now, used = self._crew.seconds(), self._pacer.used
        want = self._demand.look((used - self._used) / (now - self._used_at), self._pacer.share)
        self._used, self._used_at = used, now
        if want != self._told:
            self._usable = min(self._usable, want)
            self._lend(min(self._lent, want), self._lent_until)
            self._tell(want)
        if self._told > self._part and (self._look is None or self._look.done()):
            self._look = self._crew.start(self._read)

    def _borrow(self, seen: _Seen) -> None:
        if self._may_begin(seen):
            self._usable = self._told
        share = share_of(Member(self._roll.token, self._part, self._usable), seen.others)
        if round(share, 2) != round(self._lent, 2):
            log.info("%s: may use %.0f%% of the budget", self._roll.owner, 100 * share)
        self._lend(share, min(seen.began + VALID_SECONDS, self._known_until))

    def _lend(self, share: float, until: float) -> None:
        self._lent, self._lent_until = share, until
        self._pacer.lend(share, until)

    def _read(self) -> _Seen | None:
        began = self._crew.seconds()
        try:
            found = self._roll.read()
        except Exception as error:  # noqa: BLE001 - without a reading, the task keeps to its part
            if not self._is_blind:
                log.warning("%s: can't see who shares the budget, and keeps to its part: %s", self._roll.owner, error)
            self._is_blind = True
            return None
        if found is None:
            return None
        self._is_blind = False
        return _Seen(began, [each for each in members(found) if each.token != self._roll.token])

    def _seen(self) -> _Seen | None:
        return self._look.result() if self._look and self._look.done() else None
