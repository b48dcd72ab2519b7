"""Finds out what the books say of an id: where it was accepted, and where it waits as a dead letter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

import pyarrow as pa

from currents_core.books.day import Day
from currents_core.books.day_search import find
from currents_core.books.days import Days
from currents_core.books.dead_letter import letters_of, row_of
from currents_core.books.head import FileState, Head, parse_head
from currents_core.books.id_pages import Fingerprints, fingerprints, for_type
from currents_core.books.id_search import part_of_page, places_in
from currents_core.books.layout import Layout, is_head
from currents_core.books.ledger import Ledger
from currents_core.books.pages import PageMissingError
from currents_core.errors import TransientError
from currents_core.file_key import Slice, SourceFile
from currents_core.ports import ObjectStore

_ID_BYTES = 24
# How often a slice is looked into that others replace pages of.
_LOOKS = 3
_ALL_HASHES = (0, (1 << 64) - 1)


@dataclass(frozen=True, slots=True)
class Place:
    """A row with an id: what became of it, and where it is in the source.

    ``slice`` is that of its file, whose key may name no event type. A dead letter has a ``code`` and a ``reason``.
    """

    slice: Slice
    fate: Literal["accepted", "dead letter"]
    file: SourceFile
    row: int
    code: str = ""
    reason: str = ""


@dataclass
class IdSearch:
    """Looks for one id in the books below the root of ``layout``, day by day."""

    store: ObjectStore
    layout: Layout
    ledger: Ledger
    text: str

    def __post_init__(self) -> None:
        self._days = Days(self.store, self.layout)
        self._plain = for_type(fingerprints(pa.array([self.text], pa.string()), ""), "")

    def on(self, date: str) -> list[Place]:
        """The places of a date: first the accepted rows, then the dead letters."""
        # What goes from a head is in the day before that.
        found = [*self._in_heads(date), *self._days.look(date, lambda day: [*self._in_day(day)])]
        # A row of a slice that was begun again since its day was compacted is told of by both.
        return list(dict.fromkeys(sorted(found, key=lambda place: (place.fate, place.slice.hour, place.row))))

    def _in_day(self, day: Day) -> Iterator[Place]:
        """What a compacted day says."""
        for place, number, row in find(self.store, self.layout, day, self.text):
            head = self.ledger.head(place)
            yield from _accepted(place, head.files.values() if head else (), [(number, row)])
        for place, each in day.slices.items():
            head = self.ledger.head(place) if each.letters else None
            if head:
                yield from self.ledger.look(head, self._letters)

    def _in_heads(self, date: str) -> Iterator[Place]:
        """What the heads say of slices that are not compacted, or were begun again."""
        sizes = {each.key: each.size for each in self.store.objects(self.layout.hours("slices", date))}
        crew = self.ledger.crew
        jobs = [crew.start(self._in_head, key, sizes) for key in sizes if is_head(key)]
        for job in jobs:
            yield from job.result()

    def _in_head(self, key: str, sizes: dict[str, int]) -> list[Place]:
        for _ in range(_LOOKS):
            with suppress(PageMissingError):
                return self._looked_into(key, sizes)
        raise TransientError("it changes too fast to be searched; ask again", uri=f"s3://{self.store.bucket}/{key}")

    def _size(self, page: str, sizes: dict[str, int]) -> int:
        """The size of a page of ids. Raises PageMissingError if another has taken its place since the head was read."""
        if page not in sizes:
            sizes |= {each.key: each.size for each in self.store.objects(page)}
        if page not in sizes:
            raise PageMissingError("a page of ids has gone", uri=f"s3://{self.store.bucket}/{page}")
        return sizes[page]

    def _looked_into(self, key: str, sizes: dict[str, int]) -> list[Place]:
        stored = self.store.read_version(key)
        head = parse_head(stored.body, f"s3://{self.store.bucket}/{key}") if stored else None
        if not head or not head.begun:
            return []
        pages = self.ledger.pages(head.slice)
        head = pages.with_files(head)
        places = [*self._inline(head)]
        for name in head.id_pages:
            page = self.layout.page(head.slice, name)
            count = self._size(page, sizes) // _ID_BYTES
            for prints in self._prints(head):
                places += places_in(partial(part_of_page, self.store, page), count, prints, _ALL_HASHES)
        return [*_accepted(head.slice, head.files.values(), places), *self._letters(head)]

    def _inline(self, head: Head) -> Iterator[tuple[int, int]]:
        for prints in self._prints(head):
            same = (head.ids[:, 0] == prints[0, 0]) & (head.ids[:, 1] == prints[0, 1])
            yield from ((int(place) >> 32, int(place) & 0xFFFFFFFF) for place in head.ids[same, 2])

    def _prints(self, head: Head) -> list[Fingerprints]:
        """What the id may be in a slice: ids are compared within the types of rows."""
        names = {head.slice.event_type} if head.slice.event_type is not None else set[str | None]()
        names |= {name for state in head.files.values() if state.account for name in state.account.event_types}
        return [for_type(self._plain, name) for name in sorted(name for name in names if name is not None)]

    def _letters(self, head: Head) -> list[Place]:
        states = [state for state in head.files.values() if state.letters]
        return [
            Place(head.slice, "dead letter", state.file, row_of(letter), letter["code"], letter["reason"])
            for state, letter in letters_of(self.ledger.pages(head.slice), states)
            if (letter["record"] or {}).get("id") == self.text
        ]


def _accepted(place: Slice, states: Iterable[FileState], found: Iterable[tuple[int, int]]) -> Iterator[Place]:
    files = {state.number: state.file for state in states}
    yield from (Place(place, "accepted", files[number], row) for number, row in found if number in files)
