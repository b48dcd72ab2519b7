"""Entries: events in the form that a put request takes, kept as columns until the request is built."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Protocol, Self

import numpy as np
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


class Made(NamedTuple):
    """The origin of entries that were made for a purpose of their own, and come from no file."""

    file_id: str = ""

    def part(self, _start: int, _stop: int) -> Made:
        """The same."""
        return self


class Common(NamedTuple):
    """What the entries of one file and one event type have in common. ``resource`` is the ARN of the file."""

    source: str
    detail_type: str
    resource: str


class Wire(Protocol):
    """How a destination takes entries: whole entries, one after the other, as they lie in a request.

    ``is_nested`` tells whether it takes an envelope as a JSON string, with quotes and escapes, or as its plain text,
    and ``asks_for_users`` whether it has to know whose events they are.
    """

    is_nested: bool
    asks_for_users: bool

    def written(
        self,
        common: Common,
        envelopes: Sequence[pa.Array | str],
        times: pa.Array,
        ids: pa.Array,
        users: pa.Array | None = None,
    ) -> pa.Array:
        """The entries as they lie in a request: an Arrow array of large_binary without nulls, one item per row.

        ``envelopes`` is what ``encode`` gives in the form of ``is_nested``. ``times`` are seconds since the epoch
        (int64), and ``ids`` are those of the events (string or large_string); neither has nulls. ``users`` are the ids
        of their users (large_string), null where there is none; they may be left out where no event has one.
        """

    def read(self, entry: memoryview) -> tuple[str, int]:
        """The envelope of an entry that ``written`` gave, as JSON text, and its time in seconds since the epoch."""


class Entries:
    """Entries of one file and one event type, in the order of their rows.

    ``written`` has them as ``Wire.written`` gives them. They stay in Arrow because a Python object per entry would cost
    as much as all other preparation. ``rows`` (row numbers in the file, ascending) and ``sizes`` (bytes, as
    ``entry_size`` counts them) are lists of int of the same length.

    Raises TypeError if ``written`` has another type or a null, or if the lengths differ.
    """

    def __init__(  # noqa: PLR0917 - one column after the other
        self, rows: list[int], common: Common, wire: Wire, written: pa.Array, sizes: list[int], origin: Origin
    ) -> None:
        # The buffers are read directly. Offsets of another width, or those of a null, would give wrong texts.
        if not pa.types.is_large_binary(written.type) or written.null_count:
            nulls = counted(written.null_count, "null")
            raise TypeError(f"entries must be large_binary without nulls, not {written.type} with {nulls}")
        if not len(rows) == len(written) == len(sizes):
            raise TypeError(
                f"rows, entries and sizes must be equally long, not {len(rows)}, {len(written)} and {len(sizes)}"
            )
        self.rows = rows
        self.common = common
        self.wire = wire
        self.origin = origin
        _, offsets, data = written.buffers()
        self._bounds = np.frombuffer(offsets, np.int64)[written.offset : written.offset + len(written) + 1].tolist()
        self._written = memoryview(data or b"")
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
        part.rows = self.rows[start:stop]
        first, last = self._bounds[start], self._bounds[stop]
        part._written = memoryview(bytes(self._written[first:last]))
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

    def written(self, start: int, stop: int) -> memoryview:
        """The entries from ``start`` up to, but not including, ``stop``, as they lie in a request."""
        return self._written[self._bounds[start] : self._bounds[stop]]


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
    def written(self) -> memoryview:
        """The entries as they lie in a request, one after the other."""
        return self.entries.written(self.start, self.stop)

    @property
    def rows(self) -> list[int]:
        """The row numbers of the entries."""
        return self.entries.rows[self.start : self.stop]

    def __iter__(self) -> Iterator[Entry]:
        entries, (source, detail_type, resource) = self.entries, self.entries.common
        for place, row in enumerate(self.rows, self.start):
            detail, time = entries.wire.read(entries.written(place, place + 1))
            yield Entry(row, source, detail_type, detail, time, resource)

    def apart(self) -> Span:
        """The same entries, keeping no others of their batch in memory."""
        return Span(self.entries.part(self.start, self.stop), 0, len(self), self.alone)

    def each(self) -> Iterator[Span]:
        """One span per entry."""
        return (Span(self.entries, place, place + 1) for place in range(self.start, self.stop))
