"""Chunks: the entries of one request, limited in number and in bytes."""

from __future__ import annotations

from collections import deque

from currents_core.entry import Span
from currents_core.limits import Limits


def next_chunk(waiting: deque[Span], limits: Limits) -> tuple[list[Span], bool]:
    """As many entries from the front of ``waiting`` as fit into one request, and whether the chunk is full.

    ``waiting`` stays as it is. No entry in it may be above ``Limits.bytes_per_entry``; such entries are dead letters.
    """
    chunk: list[Span] = []
    count, room = limits.entries_per_request, limits.bytes_per_request
    for span in waiting:
        if span.alone:
            return chunk or [span], True
        stop = min(span.stop, span.start + count, span.entries.fit(span.start, room))
        if stop > span.start:
            chunk.append(Span(span.entries, span.start, stop))
            count -= stop - span.start
            room -= span.entries.size(span.start, stop)
        if stop < span.stop or not count:
            return chunk, True
    return chunk, False


def remove(chunk: list[Span], waiting: deque[Span]) -> None:
    """Removes a chunk, as ``next_chunk`` gave it, from the front of ``waiting``."""
    for span in chunk:
        first = waiting.popleft()
        if span.stop < first.stop:
            waiting.appendleft(Span(first.entries, span.stop, first.stop))
