"""The roll of the tasks that send for a connector: an object of its own for each, which tells what it wants."""

from __future__ import annotations

import logging
from collections.abc import Collection
from itertools import count
from secrets import token_hex

from currents_core.books.layout import Layout, Member
from currents_core.crew import Crew
from currents_core.errors import ConflictError, CurrentsError, TransientError
from currents_core.ports import ObjectStore, StoredObject

log = logging.getLogger(__name__)

# Objects of tasks that died don't count any more, and are removed by whoever sees them after so long, in seconds.
_SWEEP_SECONDS = 3_600.0


class Roll:
    """The roll as one task writes and reads it. ``owner`` names the task; ``token`` was never used before.

    ``layout`` is that of the connector, whatever books the task keeps. Faults of the store that pass are no errors; any
    other CurrentsError is raised. One thread at a time may write; ``read`` may be called besides.
    """

    def __init__(
        self, store: ObjectStore, layout: Layout, crew: Crew, *, owner: str = "delivery", token: str = ""
    ) -> None:
        self.token = token or token_hex(6)
        self.owner = owner
        self._store = store
        self._layout = layout
        self._crew = crew
        self._numbers = count()
        # Every key that may be there, and the one that counts, with its ETag.
        self._keys: set[str] = set()
        self._key = self._etag = ""
        self._note = ""

    def note(self, text: str) -> None:
        """Adds to what the task shows from now on, for people: how far it has got."""
        self._note = text

    def tell(self, part: float, want: float) -> bool:
        """Tells all tasks what this one wants, in place of what it told before.

        Returns whether each listing that begins from now on shows it. If not, it may show it.
        """
        # What becomes of a write without an answer is unknown, and a removal may come late: no key is used twice.
        key = self._layout.member(Member(self.token, part, want), next(self._numbers))
        self._keys.add(key)
        try:
            self._etag = self._store.write_version(key, self._shown, None)
        except TransientError as error:
            log.warning("%s: can't tell yet that it sends: %s", self.owner, error)
            return False
        self._key = key
        self._crew.start(self._remove, sorted(self._keys - {key}))
        return True

    def renew(self) -> bool:
        """Shows that the task is alive. Returns whether that is certain. Raises ConflictError if the object is gone."""
        try:
            self._etag = self._store.write_version(self._key, self._shown, self._etag)
        except ConflictError:
            raise
        except TransientError as error:
            log.debug("%s: %s", self.owner, error)
            return False
        return True

    def read(self) -> list[StoredObject] | None:
        """The objects of all tasks; None if the store did not answer."""
        try:
            found = list(self._store.objects(self._layout.budget))
        except TransientError as error:
            log.debug("%s: %s", self.owner, error)
            return None
        self._remove([each.key for each in found if each.age > _SWEEP_SECONDS])
        return found

    @property
    def _shown(self) -> bytes:
        return "\n".join(filter(None, (self.owner, self._note))).encode()

    def leave(self) -> None:
        """Ends what this task told."""
        self._remove(sorted(self._keys))

    def _remove(self, keys: Collection[str]) -> None:
        for key in keys:
            try:
                self._store.delete(key)
                self._keys.discard(key)
            except CurrentsError as error:
                # It does not count for long.
                log.debug("%s: %s", self.owner, error)
