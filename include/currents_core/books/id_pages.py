"""The accepted ids of a slice, 24 bytes each, and the pages that hold them.

An id is kept as its fingerprint and its place: two 64-bit hashes, and the number of its file and its row. A page has
these three columns one after the other, sorted by the first, so that it can be searched where it lies: mapped from
disk, or by range requests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import IO

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

# Arrays of shape (ids, 2), and of shape (ids, 3). Even among a billion ids, no two are to be expected to share both
# hashes.
Fingerprints = npt.NDArray[np.uint64]
Ids = npt.NDArray[np.uint64]
_HASH_KEYS = ("currents-export1", "currents-export2")
_STORED = np.dtype("<u8")
_COLUMNS = 3
_ROW_BITS = 32
# Rows of a column that are copied at a time.
_PART = 1 << 20


def fingerprints(ids: pa.Array, event_type: str) -> Fingerprints:
    """The fingerprints of ids of events of one type. Ids are only compared within a type.

    Takes an Arrow array of string or large_string without nulls; returns uint64 of shape (ids, 2), in the same order.
    """
    # The hash is that of the UTF-8 bytes. Of text, pandas would make them anew for each key.
    values = ids.cast(pa.large_binary()).to_numpy(zero_copy_only=False)
    plain = [pd.util.hash_array(values, hash_key=key, categorize=False) for key in _HASH_KEYS]
    return for_type(np.column_stack(plain), event_type)


def for_type(plain: Fingerprints, event_type: str) -> Fingerprints:
    """Fingerprints of an event type, from those that know no type."""
    return plain ^ type_mask(event_type)


@lru_cache(256)
def type_mask(event_type: str) -> npt.NDArray[np.uint64]:
    """What the fingerprints of an event type differ by from those that know no type: uint64 of shape (2,)."""
    return np.frombuffer(hashlib.blake2b(event_type.encode(), digest_size=16).digest(), _STORED).astype(np.uint64)


def no_ids() -> Ids:
    """An array of no ids: uint64 of shape (0, 3)."""
    return np.empty((0, _COLUMNS), np.uint64)


def placed(prints: Fingerprints, number: int, rows: npt.ArrayLike) -> Ids:
    """The ids of the ``rows`` of the file with this number: uint64 of shape (ids, 3)."""
    places = np.asarray(rows, np.uint64) | np.uint64(number << _ROW_BITS)
    return np.column_stack((prints, places))


def sorted_ids(ids: Iterable[Ids]) -> Ids:
    """All ids in the order of a page. It tells nothing of ids that share their first hash."""
    every = np.concatenate((no_ids(), *ids))
    return every[np.argsort(every[:, 0])]


def page_of(ids: Ids) -> bytes:
    """The body of a page with these ids, which are in its order."""
    return ids.astype(_STORED).T.tobytes()


class IdPage:
    """A page of ids: a file on disk, mapped into memory. The map stays when the caller closes the file."""

    def __init__(self, body: IO[bytes]) -> None:
        size = body.seek(0, 2)
        count = size // (_COLUMNS * _STORED.itemsize)
        self.columns: npt.NDArray[np.uint64] = (
            np.memmap(body, _STORED, "r", shape=(_COLUMNS, count)) if count else no_ids().T
        )

    def __len__(self) -> int:
        return int(self.columns.shape[1])

    def contains(self, found: Fingerprints) -> npt.NDArray[np.bool_]:
        """Whether each fingerprint is in the page: takes uint64 of shape (ids, 2), returns bool of shape (ids,)."""
        return contains(self.columns[0], self.columns[1], found)


def contains(
    hashes: npt.NDArray[np.uint64], checks: npt.NDArray[np.uint64], found: Fingerprints
) -> npt.NDArray[np.bool_]:
    """Whether each fingerprint is among those of two columns, which are sorted by ``hashes``."""
    if not len(hashes):
        return np.zeros(len(found), bool)
    places = np.minimum(np.searchsorted(hashes, found[:, 0]), len(hashes) - 1)
    return np.asarray((hashes[places] == found[:, 0]) & (checks[places] == found[:, 1]))


def merge_pages(pages: Sequence[IdPage], into: IO[bytes]) -> None:
    """Writes one page with the ids of several, a part at a time."""
    count = sum(len(page) for page in pages)
    at = 0
    for bounds in _parts(pages):
        part = sorted_ids(
            np.array(page.columns[:, start:stop]).T for page, (start, stop) in zip(pages, bounds, strict=True)
        )
        for number, column in enumerate(part.T):
            into.seek((number * count + at) * _STORED.itemsize)
            into.write(column.astype(_STORED).tobytes())
        at += len(part)


def _parts(pages: Sequence[IdPage]) -> Iterable[list[tuple[int, int]]]:
    """The bounds in each page of parts that follow each other by their hashes: about as many ids as _PART in each."""
    count = sum(len(page) for page in pages)
    pieces = max(1, count // _PART)
    # Hashes are spread evenly.
    edges = [round(number * (2**64 - 1) / pieces) for number in range(1, pieces)]
    starts = [0] * len(pages)
    for edge in [*edges, None]:
        stops = [
            len(page) if edge is None else int(np.searchsorted(page.columns[0], np.uint64(edge))) for page in pages
        ]
        yield list(zip(starts, stops, strict=True))
        starts = stops
