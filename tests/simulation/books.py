"""The books of a slice as an observer reads them: from the bucket, with no code of the core but the parsers."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson

from currents_core.books.head import FileState, Head, parse_head
from currents_core.books.layout import Layout
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
    head = parse_head(contents[key], key)
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
