"""A set of rows of one file, kept as the fewest ranges, so that it is small however many rows it contains."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

# More ranges than these are stored as bits: those of a file of which a filter takes scattered rows.
_MANY = 2_000


class RowSet:
    """A set of row numbers, which begin at 0. Adding rows roughly in order costs next to nothing.

    ``ranges`` are pairs of the first row and the row after the last, in any order; they may overlap.
    """

    def __init__(self, ranges: Iterable[Sequence[int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in ranges:
            self.add(start, stop)

    def __len__(self) -> int:
        return sum(self._stops) - sum(self._starts)

    def __contains__(self, row: int) -> bool:
        place = bisect_right(self._starts, row) - 1
        return place >= 0 and row < self._stops[place]

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The ranges in ascending order, disjoint: pairs of the first row and the row after the last."""
        return list(zip(self._starts, self._stops, strict=True))

    def copy(self) -> RowSet:
        """Another set with the same rows."""
        other = RowSet()
        other._starts, other._stops = self._starts.copy(), self._stops.copy()
        return other

    def as_json(self) -> list[tuple[int, int]] | str:
        """The ranges; where there are many, a bit for each row up to the last one, deflated, in base64."""
        if len(self._starts) <= _MANY:
            return self.ranges
        changes = np.zeros(self._stops[-1] + 1, np.int8)
        changes[self._starts] = 1
        changes[self._stops] = -1
        return b64encode(zlib.compress(np.packbits(changes.cumsum(dtype=np.int8)[:-1]).tobytes(), level=1)).decode()

    @classmethod
    def from_json(cls, raw: Iterable[Sequence[int]] | str) -> RowSet:
        """The set that ``as_json`` gave. Raises ValueError, or zlib.error, for what it never gives."""
        if not isinstance(raw, str):
            return cls(raw)
        bits = np.unpackbits(np.frombuffer(zlib.decompress(b64decode(raw, validate=True)), np.uint8))
        changes = np.diff(bits.astype(np.int8), prepend=0, append=0)
        found = cls()
        found._starts, found._stops = np.flatnonzero(changes == 1).tolist(), np.flatnonzero(changes == -1).tolist()
        return found

    def add(self, start: int, stop: int) -> None:
        """Adds the rows from ``start`` up to, but not including, ``stop``."""
        if start >= stop:
            return
        # Every range that touches or overlaps the new one is merged into it.
        first, last = bisect_left(self._stops, start), bisect_right(self._starts, stop)
        if first < last:
            start, stop = min(start, self._starts[first]), max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def add_rows(self, rows: npt.ArrayLike) -> None:
        """Adds rows: a one-dimensional array, or a sequence, of row numbers as integers in ascending order."""
        numbers = np.asarray(rows, dtype=np.int64)
        if not len(numbers):
            return
        ends = np.flatnonzero(np.diff(numbers) != 1)
        starts = numbers[np.concatenate(([0], ends + 1))]
        stops = numbers[np.concatenate((ends, [len(numbers) - 1]))] + 1
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            self.add(start, stop)

    def common(self, other: RowSet) -> int:
        """How many rows are in both sets."""
        found = at = 0
        for start, stop in self.ranges:
            while at and other._stops[at - 1] > start:
                at -= 1
            while at < len(other._starts) and other._starts[at] < stop:
                found += max(0, min(stop, other._stops[at]) - max(start, other._starts[at]))
                at += 1
        return found

    def mask(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether each row is in the set.

        Takes a one-dimensional array of row numbers (int64) in any order; returns an array of bool of the same length.
        """
        if not self._starts:
            return np.zeros(len(rows), dtype=bool)
        places = np.searchsorted(self._starts, rows, side="right") - 1
        inside: npt.NDArray[np.bool_] = (places >= 0) & (rows < np.take(self._stops, places, mode="clip"))
        return inside
