"""Chunks: the entries of one request, bounded by their number and by their bytes."""

from __future__ import annotations

from collections.abc import Iterable

from include.currents.entry import Entry
from include.currents.limits import Limits


class Chunker:
    """Says which of the waiting entries make up the next request.

    An entry above ``bytes_per_entry`` must have been set aside before (it is dead-lettered). ``alone`` holds the
    places (resource and row) of entries that must go without company.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.alone: set[tuple[str, int]] = set()

    def peek(self, waiting: Iterable[Entry]) -> tuple[list[Entry], bool]:
        """The longest run from the front that keeps both limits of a request, and whether no more could join it."""
        limits = self._limits
        found: list[Entry] = []
        size = 0
        for entry in waiting:
            if self.alone and (entry.resource, entry.row) in self.alone:
                return found or [entry], True
            size += entry.size
            if found and size > limits.bytes_per_request:
                return found, True
            found.append(entry)
            if len(found) == limits.entries_per_request:
                return found, True
        return found, False
