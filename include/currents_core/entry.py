"""Entries: events in the form that a put request takes, kept as columns until the request is built."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Protocol, Self

import numpy as np
import orjson
import pyarrow as pa

from currents_core.counted import counted
from currents_core.limits import TIME_BYTES


class Entry(NamedTuple):
    """One item of a put request.

    ``row`` is its row number in the file, from 0. ``detail`` is the envelope, a JSON text. ``time`` is in seconds since
    the epoch. ``resource`` is the ARN of the file.
    """

    row: int
    source: str
    detail_type: str
    detail: str
    time: int
    resource: str


def entry_size(source: str, detail_type: str, detail_bytes: int, resource: str) -> int:
    """The size that EventBridge counts for an entry with a time and one resource, in bytes.

    ``detail_bytes`` is the length of the envelope in UTF-8.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-event-size
    """
    return TIME_BYTES + detail_bytes + sum(len(text.encode()) for text in (source, detail_type, resource))


class Origin(Protocol):
    """Where entries come from. Whoever puts them gets it back with what became of them."""

    @property
    def file_id(self) -> str:
        """The id of the file."""

    def part(self, start: int, stop: int) -> Self:
        """The same for the entries from ``start`` up to, but not including, ``stop``; it keeps no others in memory."""


class Entries:
    """Entries of one file and one event type, in the order of their rows.

    ``details`` is an Arrow array of large_string without nulls, one item per entry: the envelope as a JSON string, with
    its quotes and escapes, the way it goes into a request. It stays in Arrow because a Python object per entry would
    cost as much as all other preparation. ``rows`` (row numbers in the file, ascending), ``times`` (seconds since the
    epoch) and ``sizes`` (bytes, as ``entry_size`` counts them) are lists of int of the same length.

    Raises TypeError if ``details`` has another type or a null, or if the lengths differ.
    """

    def __init__(  # noqa: PLR0917 - one column after the other, as in Entry
        self,
        rows: list[int],
        source: str,
        detail_type: str,
        details: pa.Array,
        times: list[int],
        resource: str,
        sizes: list[int],
        origin: Origin,
    ) -> None:
        # The buffers are read directly. Offsets of another width, or those of a null, would give wrong texts.
        if not pa.types.is_large_string(details.type) or details.null_count:
            nulls = counted(details.null_count, "null")
            raise TypeError(f"details must be large_string without nulls, not {details.type} with {nulls}")
        if not len(rows) == len(details) == len(times) == len(sizes):
            lengths = f"{len(rows)}, {len(details)}, {len(times)} and {len(sizes)}"
            raise TypeError(f"rows, details, times and sizes must be equally long, not {lengths}")
        self.rows = rows
        self.detail_type = detail_type
        self.resource = resource
        self.source = source
        self.origin = origin
        _, offsets, data = details.buffers()
        self._bounds = np.frombuffer(offsets, np.int64)[details.offset : details.offset + len(details) + 1].tolist()
        self._texts = memoryview(data or b"")
        self._times = times
        # The bytes before each entry, so that the end of a request is found by bisection.
        self._bytes_before = [0, *accumulate(sizes)]

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, count: int) -> Entries:
        """The first ``count`` entries."""
        part = copy(self)
        part.rows = self.rows[:count]
        return part

    def part(self, start: int, stop: int) -> Entries:
        """A copy of the entries from ``start`` up to, but not including, ``stop``, which keeps no others in memory."""
        part = copy(self)
        part.rows, part._times = self.rows[start:stop], self._times[start:stop]
        first, last = self._bounds[start], self._bounds[stop]
        part._texts = memoryview(bytes(self._texts[first:last]))
        part._bounds = [bound - first for bound in self._bounds[start : stop + 1]]
        part.origin = self.origin.part(start, stop)
        part._bytes_before = [bound - self._bytes_before[start] for bound in self._bytes_before[start : stop + 1]]
        return part

    def size(self, start: int, stop: int) -> int:
        """The size of the entries from ``start`` up to, but not including, ``stop``, in bytes."""
        return self._bytes_before[stop] - self._bytes_before[start]

    def fit(self, start: int, room: int) -> int:
        """The first place after ``start`` whose entry no longer fits into ``room`` bytes."""
        return bisect_right(self._bytes_before, self._bytes_before[start] + room) - 1

    def details(self, start: int, stop: int) -> Iterator[tuple[memoryview, int]]:
        """The detail and time of each entry from ``start`` up to, but not including, ``stop``.

        A detail is a JSON string in UTF-8, with its quotes; a time is in seconds since the epoch.
        """
        texts, bounds = self._texts, self._bounds
        for place in range(start, stop):
            yield texts[bounds[place] : bounds[place + 1]], self._times[place]


@dataclass(frozen=True, slots=True)
class Span:
    """The entries from ``start`` up to, but not including, ``stop``. ``alone`` gives them a request of their own."""

    entries: Entries
    start: int
    stop: int
    alone: bool = False

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def size(self) -> int:
        """The size of the entries in bytes, as ``entry_size`` counts them."""
        return self.entries.size(self.start, self.stop)

    @property
    def json_details(self) -> Iterator[tuple[memoryview, int]]:
        """The detail and time of each entry; see ``Entries.details``."""
        return self.entries.details(self.start, self.stop)

    @property
    def rows(self) -> list[int]:
        """The row numbers of the entries."""
        return self.entries.rows[self.start : self.stop]

    def __iter__(self) -> Iterator[Entry]:
        entries = self.entries
        for row, (detail, time) in zip(self.rows, self.json_details, strict=True):
            yield Entry(row, entries.source, entries.detail_type, orjson.loads(detail), time, entries.resource)

    def apart(self) -> Span:
        """The same entries, keeping no others of their batch in memory."""
        return Span(self.entries.part(self.start, self.stop), 0, len(self), self.alone)

    def each(self) -> Iterator[Span]:
        """One span per entry."""
        return (Span(self.entries, place, place + 1) for place in range(self.start, self.stop))
