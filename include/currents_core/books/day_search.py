"""Finds an id in a compacted day by range requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial, reduce

import pyarrow as pa

from currents_core.books.day import Day
from currents_core.books.id_pages import Fingerprints, fingerprints, for_type
from currents_core.books.id_search import part_of_page, places_in
from currents_core.books.layout import Layout
from currents_core.file_key import Slice
from currents_core.ports import ObjectStore

_ALL_HASHES = 1 << 64


def find(store: ObjectStore, layout: Layout, day: Day, text: str) -> list[tuple[Slice, int, int]]:
    """Where an id was accepted on a day: the slices, the numbers of the files within these, and the rows.

    It takes one request where the id is not found, and two more where it is. Raises PageMissingError once another
    version of the day has other pages.
    """
    plain = for_type(fingerprints(pa.array([text], pa.string()), ""), "")
    # A row may be of another type than the key of its file names, if that names any.
    others = {
        frozenset(filter(None, (place.event_type, name)))
        for place, each in day.slices.items()
        for name in each.counts
        if name != place.event_type
    }
    wanted = [plain, *(reduce(for_type, sorted(types), plain) for types in sorted(others, key=sorted))]
    return [
        (place, number - each.first, row)
        for number, row in _places(store, layout, day, wanted)
        for place, each in day.slices.items()
        if each.first <= number < each.stop
    ]


def _places(store: ObjectStore, layout: Layout, day: Day, wanted: Iterable[Fingerprints]) -> Iterator[tuple[int, int]]:
    pages = list(day.id_pages.items())
    width = _ALL_HASHES // max(1, len(pages))
    for prints in wanted if pages else ():
        at = int(prints[0, 0]) // width
        name, count = pages[at]
        key = f"{layout.day(day.date)}{name}"
        yield from places_in(partial(part_of_page, store, key), count, prints, (at * width, (at + 1) * width - 1))
