"""Chunks: the entries of one request, bounded by their number and by their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from include.currents.entry import Entry
from include.currents.limits import Limits


def chunk(entries: Iterable[Entry], limits: Limits) -> Iterator[list[Entry]]:
    """Groups entries, in order, into the fewest runs that keep both limits of a request.

    An entry above ``bytes_per_entry`` must have been set aside before (it is dead-lettered).
    """
    current: list[Entry] = []
    size = 0
    for entry in entries:
        full = len(current) == limits.entries_per_request or size + entry.size > limits.bytes_per_request
        if current and full:
            yield current
            current, size = [], 0
        current.append(entry)
        size += entry.size
    if current:
        yield current
