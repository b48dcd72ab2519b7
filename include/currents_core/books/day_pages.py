"""The pages of a new version of a day's index: sections that are kept from the one before, and heads taken in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from types import TracebackType
from typing import IO, Self

import numpy as np
import orjson

from currents_core.books.account import total
from currents_core.books.day import Day, DayManifest, DaySlice
from currents_core.books.dead_letter import letters_of
from currents_core.books.head import FileState, Head
from currents_core.books.id_streams import Source, mapped, mask_of, written_pages
from currents_core.books.layout import Layout, PageKind, page_name
from currents_core.books.pages import Pages
from currents_core.books.sections import Section, SectionedPage
from currents_core.file_key import Slice
from currents_core.hour import hour_end
from currents_core.ports import ObjectStore

_SECTIONED: tuple[PageKind, ...] = ("files", "letters", "manifests")
# Files that have letters: these lie in the slice's own section.
_LETTERS = ("letters",)


@dataclass(frozen=True, slots=True)
class Taken:
    """A head to take in, with the states of all files: its ETag, and when it was last changed."""

    head: Head
    etag: str
    changed: datetime


class DayPages:
    """The pages of a version of a day that follows ``before``, on disk until they are uploaded.

    Slices are told in the order of their folders. A context manager, which removes what is on disk.
    """

    def __init__(self, store: ObjectStore, layout: Layout, before: Day) -> None:
        self._store = store
        self._layout = layout
        self._before = before
        self._stack = ExitStack()
        self._pages = {kind: self._stack.enter_context(SectionedPage()) for kind in _SECTIONED}
        self._old: dict[PageKind, IO[bytes]] = {}
        self._slices: dict[Slice, DaySlice] = {}
        self._manifests: dict[str, DayManifest] = {}
        self._sources: list[Source] = []
        self._dropped = {place: (each.first, each.stop) for place, each in before.slices.items()}
        self._next = max((each.stop for each in before.slices.values()), default=0)
        self.is_new = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def keep(self, place: Slice) -> None:
        """Keeps what the day says of a slice."""
        found = self._before.slices[place]
        states, letters = self._copied("files", found.states), self._copied("letters", found.letters)
        self._slices[place] = replace(found, states=states, letters=letters)
        del self._dropped[place]

    def take(self, taken: Taken) -> None:
        """Takes in a head, in place of what the day says of its slice. Raises PageMissingError."""
        head, self.is_new = taken.head, True
        pages = Pages(self._store, self._layout, head.slice)
        ids = [*pages.ids(head.id_pages), *([mapped(head.ids)] if len(head.ids) else [])]
        self._sources += [Source(page, mask_of(head.slice), self._next) for page in ids]
        with_letters: set[str] = set()
        letters = self._pages["letters"].add(_letters(head, pages, with_letters))
        files = list(head.files.values())
        states = self._pages["files"].add(_line(state, with_letters) for state in files)
        account = total(state.account for state in files if state.account)
        self._slices[head.slice] = DaySlice(
            slice=head.slice,
            head=taken.etag,
            complete=account.totals.balanced and all(state.fate in {"done", "gone"} for state in files),
            files=len(files),
            counts=account.event_types,
            lag=(taken.changed - hour_end(head.slice.hour)).total_seconds(),
            first=self._next,
            numbers=head.next_number,
            ids=sum(map(len, ids)),
            states=states,
            letters=letters,
        )
        self._next += head.next_number

    def keep_manifest(self, hour: str) -> None:
        """Keeps the manifest of an hour."""
        found = self._before.manifests[hour]
        section = self._copied("manifests", found.section)
        assert section, "a section that is there has a copy"
        self._manifests[hour] = replace(found, section=section)

    def take_manifest(self, hour: str, etag: str, body: bytes) -> None:
        """Takes in the manifest of an hour."""
        self.is_new = True
        if section := self._pages["manifests"].add([body]):
            self._manifests[hour] = DayManifest(etag, section)

    def upload(self, token: str, nonce: str) -> Day:
        """Writes the pages, and returns the index that names them. ``token`` was never used before."""
        seq, numbers = self._before.seq + 1, count()

        def written(kind: PageKind, body: IO[bytes]) -> str:
            name = page_name(seq, token, next(numbers), kind)
            body.seek(0)
            self._store.upload(f"{self._layout.day(self._before.date)}{name}", body)
            return name

        pages = {kind: written(kind, page.body) for kind, page in self._pages.items() if page.size}
        id_pages = {written("ids", body): ids for body, ids in written_pages([*self._sources, *self._old_ids()])}
        return Day(self._before.date, seq, nonce, self._slices, self._manifests, pages, id_pages)

    def _old_ids(self) -> Iterator[Source]:
        dropped = list(self._dropped.values())
        for name in self._before.id_pages:
            [page] = self._day_pages.ids([self._layout.day_page(self._before.date, name)])
            yield Source(page, np.zeros(2, np.uint64), without=dropped)

    def _copied(self, kind: PageKind, section: Section | None) -> Section | None:
        if not section:
            return None
        if kind not in self._old:
            name = self._layout.day_page(self._before.date, self._before.pages[kind])
            self._old[kind] = self._stack.enter_context(self._day_pages.content(name))
        return self._pages[kind].copy(self._old[kind], section)

    @property
    def _day_pages(self) -> Pages:
        """Reads pages of the day, whose names are those for any slice."""
        return Pages(self._store, self._layout, Slice(self._before.date, None))


def _letters(head: Head, pages: Pages, with_letters: set[str]) -> Iterator[bytes]:
    """The lines of the letters of a slice; ``with_letters`` gets the ids of the files that have any."""
    named = [state for state in head.files.values() if state.letters]
    for state, letter in letters_of(pages, named):
        with_letters.add(state.file.id)
        yield orjson.dumps(letter, option=orjson.OPT_APPEND_NEWLINE)


def _line(state: FileState, with_letters: set[str]) -> bytes:
    told = replace(state, letters=_LETTERS if state.file.id in with_letters else ())
    return orjson.dumps(told.as_json(), option=orjson.OPT_APPEND_NEWLINE)
