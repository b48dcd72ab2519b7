"""The index of a compacted day: what became of each of its slices, and where in a few pages their state lies.

A day may be compacted once its hours have left the window in which runs look for late files. Its pages have a section
for each slice, but that of ids: the ids of all slices of the day lie there together, sorted by fingerprints that know
no event type, so that an id is found by range requests without knowing its slice. A file has a number there that no
other file of the day has: that of the first of its slice, and its own within the slice.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, Self

import orjson

from currents_core.books.account import Counts
from currents_core.books.format import FORMAT, parsed
from currents_core.books.layout import PageKind
from currents_core.books.sections import Section
from currents_core.file_key import Slice


@dataclass(frozen=True, slots=True)
class DaySlice:
    """One slice of a compacted day.

    ``head`` is the ETag of the head that was taken in. ``complete`` says whether all files are done, or gone; ``files``
    counts them, and ``counts`` their rows by event type. ``lag`` is how long after the end of its hour the slice last
    changed, in seconds. In the pages of ids, its ``ids`` are those of files with ``numbers`` numbers from ``first`` on.
    """

    slice: Slice
    head: str
    complete: bool
    files: int
    counts: Mapping[str, Counts]
    lag: float
    first: int
    numbers: int
    ids: int
    states: Section | None
    letters: Section | None

    @property
    def stop(self) -> int:
        """The number after the last of its files."""
        return self.first + self.numbers

    def as_json(self) -> dict[str, Any]:
        """The slice as the index stores it."""
        own = {name: getattr(self, name) for name in ("head", "complete", "files", "lag", "first", "numbers", "ids")}
        counts = {name: astuple(counts) for name, counts in sorted(self.counts.items())}
        return {
            "event_type": self.slice.event_type,
            **own,
            "counts": counts,
            "states": self.states and list(self.states),
            "letters": self.letters and list(self.letters),
        }

    @classmethod
    def from_json(cls, hour: str, raw: Mapping[str, Any]) -> Self:
        """The slice that ``as_json`` gave."""
        told = dict(raw)
        place = Slice(hour, told.pop("event_type"))
        counts = {name: Counts(*each) for name, each in told.pop("counts").items()}
        states, letters = (Section(*each) if (each := told.pop(name)) else None for name in ("states", "letters"))
        return cls(slice=place, counts=counts, states=states, letters=letters, **told)


@dataclass(frozen=True, slots=True)
class DayManifest:
    """The manifest of one hour: the ETag of the object that was taken in, and where it lies."""

    etag: str
    section: Section


@dataclass(frozen=True, slots=True)
class Day:
    """One version of the index of a day, counted by ``seq``. ``nonce`` is that of the write.

    ``pages`` has the names of the pages with sections. Each of ``id_pages``, names with the numbers of their ids, has
    an equal part of all possible hashes, in order.
    """

    date: str
    seq: int = 0
    nonce: str = ""
    slices: Mapping[Slice, DaySlice] = field(default_factory=dict)
    manifests: Mapping[str, DayManifest] = field(default_factory=dict)
    pages: Mapping[PageKind, str] = field(default_factory=dict)
    id_pages: Mapping[str, int] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """The names of all pages."""
        return {*self.pages.values(), *self.id_pages}

    def as_bytes(self) -> bytes:
        """The index as it is stored."""
        hours: dict[str, list[dict[str, Any]]] = {}
        for place, each in self.slices.items():
            hours.setdefault(place.hour, []).append(each.as_json())
        told = {
            "format": FORMAT,
            "date": self.date,
            "seq": self.seq,
            "nonce": self.nonce,
            "hours": hours,
            "manifests": {hour: [each.etag, *each.section] for hour, each in self.manifests.items()},
            "pages": self.pages,
            "id_pages": self.id_pages,
        }
        return gzip.compress(orjson.dumps(told), mtime=0)


def parse_day(body: bytes, uri: str) -> Day:
    """The index that ``as_bytes`` gave; ``uri`` is its place.

    Raises SetupError if a newer version of this project wrote it, or if it is damaged.
    """
    return parsed(body, uri, _day)


def _day(raw: Any) -> Day:
    slices = [DaySlice.from_json(hour, each) for hour, every in raw["hours"].items() for each in every]
    return Day(
        raw["date"],
        raw["seq"],
        raw["nonce"],
        {each.slice: each for each in slices},
        {hour: DayManifest(each[0], Section(*each[1:])) for hour, each in raw["manifests"].items()},
        raw["pages"],
        raw["id_pages"],
    )
