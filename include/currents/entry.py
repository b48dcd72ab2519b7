"""An entry: one event as a put request carries it."""

from __future__ import annotations

from dataclasses import dataclass

from include.currents.limits import TIME_BYTES


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of a put request. ``row`` is its place in the file; ``time`` is in seconds since the epoch."""

    row: int
    source: str
    detail_type: str
    detail: str
    time: int
    resource: str
    size: int


def entry_size(source: str, detail_type: str, detail_bytes: int, resource: str) -> int:
    """The bytes that EventBridge counts for an entry with a time and one resource.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-event-size
    """
    return TIME_BYTES + detail_bytes + sum(len(text.encode()) for text in (source, detail_type, resource))
