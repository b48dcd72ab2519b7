"""An entry: one event as a put request carries it."""

from __future__ import annotations

from typing import NamedTuple

from include.currents.limits import TIME_BYTES


class Entry(NamedTuple):
    """One item of a put request. ``row`` is its place in the file; ``time`` is in seconds since the epoch.

    ``resource`` is the ARN of the file. A tuple, since one is made for every event.
    """

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
