"""Entries without much in them, for what only counts and orders them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson
import pyarrow as pa

from currents_aws.json_wire import JsonWire
from currents_core.entry import Common, Entries, Wire

_COMMON, _WIRE = Common("s", "t", "r"), JsonWire()


class FromFile(NamedTuple):
    """Entries of a file of which nothing else is known."""

    file_id: str

    def part(self, _start: int, _stop: int) -> FromFile:
        """The same."""
        return self


def entries_of(
    envelopes: Sequence[str],
    *,
    first: int = 0,
    time: int = 0,
    sizes: list[int] | None = None,
    common: Common = _COMMON,
    wire: Wire = _WIRE,
    users: Sequence[str | None] | None = None,
) -> Entries:
    """Entries with these envelopes, of rows from ``first`` on; each is 100 bytes large, unless ``sizes`` says so.

    The ids are numbers from ``first`` on; unless ``users`` says otherwise, they have no users.
    """
    texts = [orjson.dumps(each).decode() if wire.is_nested else each for each in envelopes]
    count = len(envelopes)
    written = wire.written(
        common,
        [pa.array(texts, pa.large_string())],
        pa.array([time] * count, pa.int64()),
        pa.array([f"id {first + place}" for place in range(count)], pa.string()),
        pa.array(users or [None] * count, pa.large_string()),
    )
    rows = list(range(first, first + count))
    return Entries(rows, common, wire, written, sizes or [100] * count, FromFile(common.resource))


def make_entries(count: int, *, first: int = 0, sizes: list[int] | None = None, resource: str = "r") -> Entries:
    """Entries of rows from ``first`` on; each is 100 bytes large, unless ``sizes`` says otherwise."""
    return entries_of(["{}"] * count, first=first, sizes=sizes, common=Common("s", "t", resource))
