"""Entries without much in them, for what only counts and orders them."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from currents_core.entry import Entries


class FromFile(NamedTuple):
    """Entries of a file of which nothing else is known."""

    file_id: str

    def part(self, _start: int, _stop: int) -> FromFile:
        """The same."""
        return self


def make_entries(count: int, *, first: int = 0, sizes: list[int] | None = None, resource: str = "r") -> Entries:
    """Entries of rows from ``first`` on; each is 100 bytes large, unless ``sizes`` says otherwise."""
    return Entries(
        list(range(first, first + count)),
        "s",
        "t",
        pa.array(['"{}"'] * count, pa.large_string()),
        [0] * count,
        resource,
        sizes or [100] * count,
        FromFile(resource),
    )
