"""The claim of a slice: who has it is the only one who replaces its head."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from tempfile import TemporaryFile
from typing import Self

from currents_core.books.dead_letter import with_one_letter_page
from currents_core.books.head import INLINE_IDS, FileState, Head, parse_head
from currents_core.books.id_pages import IdPage, Ids, merge_pages, no_ids, page_of, sorted_ids
from currents_core.books.layout import PageKind, page_name
from currents_core.books.pages import PageMissingError, Pages, with_paged_states, with_small_states
from currents_core.books.seen_ids import SeenIds
from currents_core.errors import CurrentsError, FencedError, TransientError
from currents_core.ports import ObjectStore

log = logging.getLogger(__name__)

# How often a swap that got no answer is tried before it is left to the next one.
_ATTEMPTS = 3
# Whoever reads for longer than that, in seconds, shows in between that the task is alive.
_IDLE_SECONDS = 5.0


class Claim:
    """The right to work on a slice. One thread at a time may use it, but for ``new_page`` and ``confirmed_at``.

    ``head`` is the head as last confirmed, or as begun, and ``confirmed_at`` when the last confirmed swap began, by the
    clock ``seconds``. ``nonce`` gives a name that was never used before.
    """

    def __init__(  # noqa: PLR0917 - what a claim consists of
        self,
        store: ObjectStore,
        key: str,
        pages: Pages,
        head: Head,
        etag: str,
        confirmed_at: float,
        seconds: Callable[[], float],
        nonce: Callable[[], str],
    ) -> None:
        self.head = head
        self.confirmed_at = confirmed_at
        self.pages = pages
        self._store = store
        self._key = key
        self._etag = etag
        self._seconds = seconds
        self._nonce = nonce
        self._numbers = count()
        self._pages = set(head.pages)

    @property
    def age(self) -> float:
        """Seconds since the last confirmed swap began."""
        return self._seconds() - self.confirmed_at

    def seen(self) -> SeenIds:
        """The accepted ids of the slice, whose pages may be many: each swap of a task that was killed left one."""
        pages: list[IdPage] = []
        for name in self.head.id_pages:
            pages += self.pages.ids([name])
            if self.age > _IDLE_SECONDS:
                self.swap()
        return SeenIds(pages, self.head.ids)

    def new_page(self, kind: PageKind) -> str:
        """A name for a page that nobody used or will use."""
        name = page_name(self.head.claim, self.head.token, next(self._numbers), kind)
        self._pages.add(name)
        return name

    def swap(self, states: Sequence[FileState] = (), ids: Sequence[Ids] = (), *, release: bool = False) -> None:
        """Replaces the head: other ``states`` of some files, and the ``ids`` of the rows accepted since.

        ``release`` gives the slice back. Raises FencedError if another task has the slice, and TransientError if the
        store gave no clear answer: then the same must be part of the next swap.
        """
        self._replace(self._changed(states, ids), release=release)

    def begin(self, known: Head) -> None:
        """Begins the head of a new slice with what is ``known`` of it from elsewhere; its pages are the claim's own.

        Nothing of that counts before the next swap.
        """
        own = self.head
        self.head = replace(
            known, seq=own.seq, claim=own.claim, token=own.token, nonce=own.nonce, owner=own.owner, begun=True
        )
        self._pages.update(known.pages)

    def open(self) -> None:
        """Reads the states of files that lie in pages."""
        self.head = self.pages.with_files(self.head)
        self._pages.update(self.head.pages)

    @contextmanager
    def kept(self) -> Iterator[Self]:
        """Gives the slice back if the work that follows fails, since nobody else could have it until the claim ends."""
        try:
            with self.reading():
                yield self
        except BaseException:
            try:
                self.swap(release=True)
            except CurrentsError as error:
                log.warning("%s: not given back: %s; others wait until its claim runs out", self.head.slice.name, error)
            raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Raises FencedError for a page that is missing because another task has the slice by now, and removed it."""
        try:
            yield
        except PageMissingError:
            self._read_own()
            raise

    def finish(self, states: Sequence[FileState], ids: Sequence[Ids]) -> bool:
        """Replaces the head as ``swap`` does, and gives the slice back at once unless there is something to tidy up.

        Returns whether it gave it back.
        """
        new = self._changed(states, ids)
        is_tidy = self._is_tidy(new) and not self._unnamed(new)
        self._replace(new, release=is_tidy)
        return is_tidy

    def tidied(self) -> Head:
        """The head with as few pages as possible, once ``finish`` did not give the slice back.

        Merging pages may take long. Nothing counts before ``tidy`` names them; until then, swaps without news may show
        that the task is alive.
        """
        return self.head if self._is_tidy(self.head) else self._tidied(self.head)

    def tidy(self, tidied: Head) -> list[str]:
        """Replaces the head by the one that ``tidied`` gave. Returns the pages that nothing names any more.

        They must be removed before the slice is given back, for the next claim looks for none. That may take long, too.
        Raises what ``swap`` does.
        """
        if tidied.pages != self.head.pages:
            self._replace(tidied)
        unnamed = self._unnamed(self.head)
        self._pages -= unnamed
        return sorted(unnamed)

    def _unnamed(self, head: Head) -> set[str]:
        """The pages that the claim found or wrote, and that this head does not name."""
        return self._pages - head.pages

    def _changed(self, states: Sequence[FileState], ids: Sequence[Ids]) -> Head:
        for state in states:
            state.require_true()
        return with_small_states(self._with_ids(self.head.with_states(states), ids), self.pages, self.new_page)

    @staticmethod
    def _is_tidy(head: Head) -> bool:
        letters = {name for state in head.files.values() for name in state.letters}
        return max(len(letters), len(head.file_pages), len(head.id_pages)) <= 1

    def _tidied(self, head: Head) -> Head:
        """The head with one page of each kind."""
        head = with_one_letter_page(head, self.pages, self.new_page("letters"))
        if len(head.id_pages) > 1:
            head = self._with_one_id_page(head)
        if len(head.file_pages) > 1:
            whole = replace(head, file_pages=(), paged=frozenset())
            head = with_paged_states(whole, list(head.files.values()), self.pages, self.new_page)
        return head

    def _replace(self, new: Head, *, release: bool = False) -> None:
        new = replace(new, owner=None if release else self.head.owner)
        for attempt in range(_ATTEMPTS):
            new = replace(new, seq=self.head.seq + 1, nonce=self._nonce())
            began = self._seconds()
            try:
                self._etag = self._store.write_version(self._key, new.as_bytes(), self._etag)
                break
            except TransientError:
                if self._has_arrived(new):
                    break
                if attempt == _ATTEMPTS - 1:
                    raise
        self.head, self.confirmed_at = new, began

    def _has_arrived(self, new: Head) -> bool:
        """Whether the head is ``new`` by now. Raises FencedError if it is another task's."""
        found, etag = self._read_own()
        # An earlier swap of this claim may have arrived late. The next one contains all that it had.
        self._etag = etag
        self.head = replace(self.head, seq=max(self.head.seq, found.seq))
        return found.nonce == new.nonce

    def _read_own(self) -> tuple[Head, str]:
        """The head that is there, and its ETag. Raises FencedError if it is another task's."""
        stored = self._store.read_version(self._key)
        found = parse_head(stored.body, self._key) if stored else None
        if not stored or not found or found.token != self.head.token:
            name = self.head.slice.name
            raise FencedError(f"{name}: another task took it over and is at it now; clear this one to resume")
        return found, stored.etag

    def _with_ids(self, head: Head, ids: Sequence[Ids]) -> Head:
        if not sum(map(len, ids)):
            return head
        every = sorted_ids((head.ids, *ids))
        if len(every) <= INLINE_IDS:
            return replace(head, ids=every)
        name = self.new_page("ids")
        self.pages.write(name, page_of(every))
        return replace(head, ids=no_ids(), id_pages=(*head.id_pages, name))

    def _with_one_id_page(self, head: Head) -> Head:
        name = self.new_page("ids")
        pages = self.pages.ids(head.id_pages)
        with TemporaryFile() as inline, TemporaryFile() as body:
            inline.write(page_of(head.ids))
            inline.flush()
            pages.append(IdPage(inline))
            merge_pages(pages, body)
            body.seek(0)
            self.pages.upload(name, body)
        return replace(head, ids=no_ids(), id_pages=(name,))
