"""Finds an id in a page by range requests: hashes are spread evenly, so one tells about where it lies."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

import numpy as np
import numpy.typing as npt

from currents_core.books.id_pages import Fingerprints
from currents_core.books.pages import PageMissingError
from currents_core.ports import ObjectStore

_BYTES = 8

# Gives so many bytes of the page from a place on.
ReadPart = Callable[[int, int], bytes]


def part_of_page(store: ObjectStore, key: str, start: int, size: int) -> bytes:
    """So many bytes of a page from a place on. Raises PageMissingError if it is gone."""
    found = store.read_part(key, start, size)
    if found is None:
        raise PageMissingError("a page of ids has gone", uri=f"s3://{store.bucket}/{key}")
    return found


def places_in(read_part: ReadPart, count: int, found: Fingerprints, hashes: tuple[int, int]) -> list[tuple[int, int]]:
    """The files and rows of an id, its fingerprint being uint64 of shape (1, 2), in a page with ``count`` ids.

    ``hashes`` are the first and the last hash that may be in the page. It takes one request where the id is not there,
    and two more where it is.
    """
    first, check = (int(each) for each in found[0])
    start, stop = _alike(read_part, count, first, hashes)
    if start == stop:
        return []
    checks = _column(read_part, count, 1, start, stop)
    places = _column(read_part, count, 2, start, stop)[checks == np.uint64(check)]
    return [(int(place) >> 32, int(place) & 0xFFFFFFFF) for place in places]


def _alike(read_part: ReadPart, count: int, wanted: int, hashes: tuple[int, int]) -> tuple[int, int]:
    """The bounds of the ids with the hash ``wanted``."""
    low, high = hashes
    near = (wanted - low) * count // (high - low + 1)
    # Four standard deviations of where the hash may lie.
    reach = 2 * isqrt(count) + 64
    while count:
        start, stop = max(0, near - reach), min(count, near + reach)
        part = _column(read_part, count, 0, start, stop)
        begins = start + int(np.searchsorted(part, np.uint64(wanted)))
        ends = start + int(np.searchsorted(part, np.uint64(wanted), side="right"))
        if (begins > start or start == 0) and (ends < stop or stop == count):
            return begins, ends
        reach *= 4
    return 0, 0


def _column(read_part: ReadPart, count: int, column: int, start: int, stop: int) -> npt.NDArray[np.uint64]:
    body = read_part((column * count + start) * _BYTES, (stop - start) * _BYTES)
    return np.frombuffer(body, "<u8").astype(np.uint64)
