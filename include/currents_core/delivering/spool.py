"""The dead letters of a file that is still open: on disk, since nobody knows how many there will be."""

from __future__ import annotations

import os
import pickle
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np

from currents_core.books.dead_letter import DeadLetter

# Letters are in memory up to so many bytes, which is all of them for nearly every file.
_IN_MEMORY = 1 << 20


class Spool:
    """Letters by row, each row at most once. One thread at a time may use it.

    Iterating gives the letters in the order of their rows. ``event_types`` counts them.
    """

    def __init__(self) -> None:
        self.event_types = Counter[str]()
        self._rows = array("q")
        self._places = array("q")

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[DeadLetter]:
        return (self._letter(int(number)) for number in np.argsort(np.array(self._rows, np.int64)))

    def by_row(self) -> Callable[[int], DeadLetter | None]:
        """Gives the letter of a row that it has by now, one at a time; None for other rows."""
        rows = np.array(self._rows, np.int64)
        order = np.argsort(rows)
        rows = rows[order]

        def of_row(row: int) -> DeadLetter | None:
            at = int(np.searchsorted(rows, row))
            return self._letter(int(order[at])) if at < len(rows) and rows[at] == row else None

        return of_row

    def add(self, letter: DeadLetter) -> None:
        """Keeps a letter."""
        self._places.append(self._file.seek(0, os.SEEK_END))
        self._rows.append(letter.row)
        self.event_types[letter.event_type] += 1
        pickle.dump(letter, self._file, pickle.HIGHEST_PROTOCOL)

    def close(self) -> None:
        """Removes the letters from disk."""
        if self._rows:
            self._file.close()

    @cached_property
    def _file(self) -> IO[bytes]:
        return SpooledTemporaryFile(_IN_MEMORY)

    def _letter(self, number: int) -> DeadLetter:
        self._file.seek(self._places[number])
        letter: DeadLetter = pickle.load(self._file)  # noqa: S301 - only this object writes the file, which has no name
        return letter
