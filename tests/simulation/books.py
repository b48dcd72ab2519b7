"""The books of a slice as an observer reads them: from the bucket, with no code of the core but the parsers."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson

from currents_core.books.day import DaySlice, parse_day
from currents_core.books.head import FileState, Head, parse_head
from currents_core.books.id_pages import type_mask
from currents_core.books.layout import Layout, PageKind
from currents_core.books.sections import Section
from currents_core.file_key import Slice
from tests.simulation.files import prints_of

LAYOUT = Layout("books/")

Place = tuple[str, int]


class ViolationError(AssertionError):
    """A promise was broken."""


def require(condition: object, what: str) -> None:
    """Raises ViolationError with ``what`` unless the condition holds."""
    if not condition:
        raise ViolationError(what)


@dataclass(frozen=True)
class Books:
    """What a head and its pages say.

    ``ids`` has the accepted ids by the number of their file and their row; ``letters`` the letters, by the id of their
    file and their row, each with the id of its event or None. Those of rows that were accepted since do not count.
    ``pages`` are the named pages, by their keys.
    """

    head: Head
    ids: Mapping[Place2, str]
    letters: Mapping[Place, str | None]
    pages: Mapping[str, bytes]

    @property
    def states(self) -> Mapping[str, FileState]:
        """The states of all files."""
        return self.head.files

    @property
    def accepted(self) -> set[str]:
        """The ids that were accepted."""
        return set(self.ids.values())


Place2 = tuple[int, int]


def read_books(contents: Mapping[str, bytes], key: str) -> Books:
    """The books with the head at ``key``. Raises ViolationError if a page is missing."""
    return _of_head(contents, parse_head(contents[key], key))


def known_books(contents: Mapping[str, bytes], place: Slice) -> Books | None:
    """What the books say of a slice, be it in its head or in its compacted day; None if nothing does."""
    key = LAYOUT.head(place)
    head = parse_head(contents[key], key) if key in contents else None
    if head and head.begun:
        return _of_head(contents, head)
    found = _of_day(contents, place)
    if found and head:
        known = found.head
        own = replace(known, seq=head.seq, claim=head.claim, token=head.token, nonce=head.nonce, owner=head.owner)
        return replace(found, head=own)
    return found or (_of_head(contents, head) if head else None)


def require_same(before: Books, after: Books | None, why: str) -> None:
    """Raises ViolationError unless both say the same, wherever they say it."""
    if after is None:
        require(not before.states, f"{why}: nothing is known of a slice any more")
        return
    require(_states_of(before) == _states_of(after), f"{why}: the states of files have changed")
    require(before.ids == after.ids, f"{why}: ids have changed")
    require(before.letters == after.letters, f"{why}: letters have changed")


def _states_of(books: Books) -> dict[str, Any]:
    return {file_id: replace(state, letters=()).as_json() for file_id, state in books.states.items()}


def _of_day(contents: Mapping[str, bytes], place: Slice) -> Books | None:
    date = place.hour[:10]
    index = LAYOUT.day_index(date)
    day = parse_day(contents[index], index) if index in contents else None
    told = day.slices.get(place) if day else None
    if not day or not told:
        return None
    pages: dict[str, bytes] = {}

    def page(name: str) -> bytes:
        at = f"{LAYOUT.day(date)}{name}"
        require(at in contents, f"a page that the day names is missing: {name}")
        pages[at] = contents[at]
        return contents[at]

    def lines(kind: PageKind, section: Section | None) -> list[Any]:
        return _lines(page(day.pages[kind])[section.start : section.stop]) if section else []

    states = [FileState.from_json(each) for each in lines("files", told.states)]
    letters = {}
    for letter in lines("letters", told.letters):
        [state] = [each for each in states if (each.file.key, each.file.etag) == _origin(letter)]
        require(state.letters and letter["origin"]["row"] not in state.rows, "a day has a letter that does not count")
        letters[state.file.id, letter["origin"]["row"]] = letter["record"]["id"]
    bodies = [page(name) for name in day.id_pages]
    count = sum(map(len, bodies)) // 24
    require(count == sum(each.ids for each in day.slices.values()), "a day has ids of no slice, or lacks some")
    ids = _ids_of_day(place, told, bodies)
    require(len(ids) == told.ids, "a day has lost ids of a slice, or has some twice")
    return Books(Head(place, files={state.file.id: state for state in states}), ids, letters, pages)


def _origin(letter: Any) -> tuple[str, str]:
    return letter["origin"]["key"], letter["origin"]["etag"]


def _ids_of_day(place: Slice, told: DaySlice, bodies: list[bytes]) -> dict[Place2, str]:
    names = prints_of(place.event_type or "")
    first, second = (int(each) for each in type_mask(place.event_type or ""))
    found: dict[Place2, str] = {}
    for body in bodies:
        for one, two, at in np.frombuffer(body, "<u8").reshape(3, -1).T.tolist():
            if told.first <= at >> 32 < told.stop:
                found[(at >> 32) - told.first, at & 0xFFFFFFFF] = names[one ^ first, two ^ second]
    return found


def _of_head(contents: Mapping[str, bytes], head: Head) -> Books:
    pages: dict[str, bytes] = {}

    def page(name: str) -> bytes:
        at = LAYOUT.page(head.slice, name)
        require(at in contents, f"a page that the head names is missing: {name}")
        pages[at] = contents[at]
        return contents[at]

    paged = {state.file.id: state for name in head.file_pages for state in _states(page(name))}
    head = replace(head, files={**paged, **head.files})
    return Books(head, _ids(head, page), _letters(head, page), pages)


def _states(body: bytes) -> Iterator[FileState]:
    return (FileState.from_json(each) for each in _lines(body))


def _lines(body: bytes) -> list[Any]:
    return [orjson.loads(line) for line in gzip.decompress(body).splitlines()]


def _ids(head: Head, page: Any) -> dict[Place2, str]:
    names = prints_of(head.slice.event_type or "")
    found: dict[Place2, str] = {}
    parts = [np.frombuffer(page(name), "<u8").reshape(3, -1).T for name in head.id_pages]
    for first, second, place in np.concatenate((head.ids, *parts)).tolist():
        require((first, second) in names, "the books have an id that no event has")
        found[place >> 32, place & 0xFFFFFFFF] = names[first, second]
    return found


def _letters(head: Head, page: Any) -> dict[Place, str | None]:
    by_place = {(state.file.key, state.file.etag): state for state in head.files.values()}
    found: dict[Place, str | None] = {}
    for name in dict.fromkeys(name for state in head.files.values() for name in state.letters):
        for letter in _lines(page(name)):
            origin = letter["origin"]
            state = by_place.get((origin["key"], origin["etag"]))
            if state and name in state.letters and origin["row"] not in state.rows:
                found[state.file.id, origin["row"]] = letter["record"]["id"]
    return found
