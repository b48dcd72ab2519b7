"""Who may use how much of a connector's budget, given what its tasks say that they want. All shares are fractions.

Each task has its part, that of the slots it takes. What the parts of all tasks leave is shared out evenly among those
that want more, and what one of these can't use goes to the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from currents_core.books.layout import Member, member_of
from currents_core.ports import StoredObject

# A task of which there was no sign of life for so long is gone, in seconds by the store's clock.
GONE_SECONDS = 30.0
# A task wants more when it uses this much of what it may.
_HELD_BACK = 0.8
# A task that used less for so many looks wants no more than this many times the most that it used.
_CALM_LOOKS = 5
_ROOM = 1.5
# To tell the others of less than a tenth is not worth two requests.
_WORTH_TELLING = 0.9


def members(listed: Iterable[StoredObject]) -> list[Member]:
    """The tasks that a listing shows to be alive. Of one with several keys, that which wants most counts."""
    alive = [member for each in listed if each.age <= GONE_SECONDS and (member := member_of(each.key))]
    return list({member.token: member for member in sorted(alive, key=lambda each: each.want)}.values())


def wants_more(member: Member) -> bool:
    """Whether a task wants more than its part."""
    return member.want > member.part


def share_of(own: Member, others: Sequence[Member]) -> float:
    """What a task may use. If the others want less than ``others`` says, or some are gone, that is still no fault.

    So tasks that saw different moments never exceed the budget together, as long as each wants at least what it uses.
    """
    free = 1.0 - own.part - sum(each.part for each in others)
    rivals = sorted(each.want - each.part for each in others)
    sharing = 1 + len(rivals)
    for rival in rivals:
        if rival * sharing >= free:
            break
        free -= rival
        sharing -= 1
    return own.part + max(0.0, min(own.want - own.part, free / sharing))


class Demand:
    """What a task wants of the budget, as its use tells: at first its ``part``, and never more than ``limit``."""

    def __init__(self, part: float, limit: float) -> None:
        self.want = part
        self._part = part
        self._limit = max(part, limit)
        self._used: list[float] = []

    def look(self, used: float, share: float) -> float:
        """What it wants now that it ``used`` so much on average since the last look, and may use ``share``."""
        if used >= _HELD_BACK * share:
            self._used.clear()
            # Where others keep it from what it wants, it gets no more by wanting more.
            if share >= _WORTH_TELLING * self.want:
                self.want = self._limit
            return self.want
        self._used.append(used)
        if len(self._used) == _CALM_LOOKS:
            enough = max(self._part, _ROOM * max(self._used))
            self._used.clear()
            if enough <= _WORTH_TELLING * self.want:
                self.want = enough
        return self.want
