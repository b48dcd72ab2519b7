"""Lines on disk: a million accepted entries take gigabytes."""

from __future__ import annotations

from array import array
from tempfile import TemporaryFile
from weakref import finalize


class Lines:
    """Lines of bytes that only ever become more, in a file without a name; they are counted from 0."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 - it lasts as long as this
        finalize(self, self._file.close)
        # Where each line ends.
        self._ends = array("Q")

    def __len__(self) -> int:
        return len(self._ends)

    def append(self, line: bytes) -> None:
        """Adds a line, with its end."""
        self._file.write(line)
        self._ends.append((self._ends[-1] if self._ends else 0) + len(line))

    def text(self, first: int, count: int) -> bytes:
        """Lines one after the other: at most ``count``, from the one with number ``first`` on."""
        ends = self._ends[first : first + count]
        if not ends:
            return b""
        begin = self._ends[first - 1] if first else 0
        self._file.seek(begin)
        found = self._file.read(ends[-1] - begin)
        self._file.seek(0, 2)
        return found
