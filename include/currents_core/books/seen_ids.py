"""The ids that were seen of an event type and hour, at 16 bytes each. They are kept to compare late files with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from currents_core.books.layout import Layout, file_id_of
from currents_core.file_key import SourceFile
from currents_core.ports import ObjectStore

# A fingerprint is two 64-bit hashes of an id; an array of them has shape (ids, 2). Even among a billion ids, no two are
# to be expected to share one.
Fingerprints = npt.NDArray[np.uint64]
_HASH_KEYS = ("currents-export1", "currents-export2")
_STORED = np.dtype("<u8")
_PARALLEL_READS = 16


def fingerprints(ids: pa.Array) -> Fingerprints:
    """The fingerprints of ids.

    Takes an Arrow array of string or large_string without nulls; returns uint64 of shape (ids, 2), in the same order.
    """
    values = ids.to_numpy(zero_copy_only=False)
    return np.column_stack([pd.util.hash_array(values, hash_key=key, categorize=False) for key in _HASH_KEYS])


class SeenIds:
    """A set of fingerprints, kept as a few sorted runs. A Python set of ids would take five times the memory."""

    def __init__(self) -> None:
        self._runs: list[Fingerprints] = []

    def add(self, found: Fingerprints) -> None:
        """Adds fingerprints, uint64 of shape (ids, 2). Runs of similar size are merged, so there are never many."""
        run = found[np.argsort(found[:, 0], kind="stable")]
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.concatenate([self._runs.pop(), run])
            run = run[np.argsort(run[:, 0], kind="stable")]
        if len(run):
            self._runs.append(run)

    def contains(self, found: Fingerprints) -> npt.NDArray[np.bool_]:
        """Whether each fingerprint is in the set: takes uint64 of shape (ids, 2), returns bool of shape (ids,)."""
        seen = np.zeros(len(found), dtype=bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run[:, 0], found[:, 0]), len(run) - 1)
            seen |= (run[places] == found).all(axis=1)
        return seen

    def take_new(self, ids: pa.Array) -> tuple[npt.NDArray[np.bool_], Fingerprints]:
        """Adds ids, and tells which of them are new: not in the set yet, and the first of their kind in ``ids``.

        ``ids`` is an Arrow array of string or large_string without nulls. Returns which are new, as bool of shape
        (ids,), and the fingerprints of these, as uint64 of shape (new ids, 2).
        """
        prints = fingerprints(ids)
        new = ~(self.contains(prints) | pd.DataFrame(prints).duplicated().to_numpy())
        self.add(prints[new])
        return new, prints[new]


class DeliveredIds:
    """The fingerprints of the ids of delivered files: one object per file and event type, 16 bytes per id.

    An object has the two numbers of each fingerprint after each other, as little-endian uint64.
    """

    def __init__(self, store: ObjectStore, layout: Layout) -> None:
        self._store = store
        self._layout = layout

    def write(self, file: SourceFile, event_type: str, found: Iterable[Fingerprints]) -> None:
        """Stores the fingerprints that a file brought, as arrays of uint64 of shape (ids, 2).

        They count once the ledger has the file as done.
        """
        body = b"".join(each.astype(_STORED).tobytes() for each in found)
        if body:
            self._store.write(self._layout.ids_of(file, event_type), body)

    def read(self, hour: str, event_type: str, done: Collection[str]) -> SeenIds:
        """The ids that the files in ``done``, given by their file ids, brought to an event type and hour."""
        seen = SeenIds()
        if not done:
            return seen
        keys = [each.key for each in self._store.objects(self._layout.ids(hour, event_type))]
        delivered = [key for key in keys if file_id_of(key) in done]
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            for body in pool.map(self._store.read, delivered):
                seen.add(np.frombuffer(body or b"", dtype=_STORED).reshape(-1, len(_HASH_KEYS)))
        return seen


class KnownIds:
    """The ids that were delivered before or came up earlier in this delivery. They are read when first asked for.

    ``files`` has the file ids of the delivered files by hour.
    """

    def __init__(self, delivered: DeliveredIds) -> None:
        self.files: Mapping[str, Collection[str]] = {}
        self._delivered = delivered
        self._seen: dict[tuple[str, str], SeenIds] = {}

    def of(self, hour: str, event_type: str) -> SeenIds:
        """The ids of an hour and event type, for the caller to add to."""
        place = (hour, event_type)
        if place not in self._seen:
            self._seen[place] = self._delivered.read(*place, self.files.get(hour, ()))
        return self._seen[place]

    def forget(self, hour: str) -> None:
        """Frees the ids of an hour without further files. A task with many hours would otherwise keep them all."""
        self._seen = {place: ids for place, ids in self._seen.items() if place[0] != hour}
