"""Chunks: the entries of one request, bounded by their number and by their bytes."""

from __future__ import annotations

from collections import deque

from currents_core.entry import Span
from currents_core.limits import Limits


def next_chunk(waiting: deque[Span], limits: Limits) -> tuple[list[Span], bool]:
    """The longest run of entries from the front that keeps both limits of a request, and whether no more could join.

    An entry above ``Limits.bytes_per_entry`` must have been set aside before (it is dead-lettered).
    """
    found: list[Span] = []
    count, room = limits.entries_per_request, limits.bytes_per_request
    for span in waiting:
        if span.alone:
            return found or [span], True
        stop = min(span.stop, span.start + count, span.entries.fit(span.start, room))
        if stop > span.start:
            found.append(Span(span.entries, span.start, stop))
            count -= stop - span.start
            room -= span.entries.size(span.start, stop)
        if stop < span.stop or not count:
            return found, True
    return found, False


def remove(chunk: list[Span], waiting: deque[Span]) -> None:
    """Takes a chunk that was found at the front away from there."""
    for span in chunk:
        first = waiting.popleft()
        if span.stop < first.stop:
            waiting.appendleft(Span(first.entries, span.stop, first.stop))
