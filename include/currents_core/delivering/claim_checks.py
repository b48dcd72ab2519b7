"""Leaves events that are too large to be sent in the state, and gives claim checks for them."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from currents_core.books.layout import Layout
from currents_core.crew import Crew, Job, waited_for
from currents_core.file_key import Slice
from currents_core.ports import ObjectStore

# How many objects are written at the same time. The crew must have threads left for the heads of slices.
_AT_ONCE = 8


class ClaimCheck(NamedTuple):
    """Where a whole event is, its size in bytes, and its SHA-256 in hexadecimal digits."""

    bucket: str
    key: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Cloakroom:
    """Where the whole events are left: ``store``, under keys of ``layout``.

    ``meanwhile`` is called again and again while the caller waits, with the seconds that it may take.
    """

    store: ObjectStore
    layout: Layout
    crew: Crew
    meanwhile: Callable[[float], None]

    def checks(self, place: Slice, bodies: Sequence[bytes]) -> list[ClaimCheck]:
        """The claim checks for events of a slice. Nothing is written yet.

        The key follows from the content. So what is sent again leaves the same object, and an object that a claim check
        was sent for is never replaced by one of other settings.
        """
        hashes = [hashlib.sha256(body).hexdigest() for body in bodies]
        return [
            ClaimCheck(self.store.bucket, self.layout.oversized(place, sha256), len(body), sha256)
            for body, sha256 in zip(bodies, hashes, strict=True)
        ]

    def leave(self, checks: Sequence[ClaimCheck], bodies: Sequence[bytes]) -> None:
        """Writes the events, and returns once the store has confirmed all of them.

        Raises SetupError or TransientError if it does not; then no claim check may be sent.
        """
        under_way: deque[Job[None]] = deque()
        for check, body in zip(checks, bodies, strict=True):
            if len(under_way) == _AT_ONCE:
                waited_for(under_way.popleft(), self.meanwhile)
            under_way.append(self.crew.start(self.store.write, check.key, body))
        for job in under_way:
            waited_for(job, self.meanwhile)
