"""Which ids of an event type and hour were seen, at 16 bytes each, kept so that late files are held against them."""

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

# A fingerprint is two 64-bit hashes of an id: among a billion ids, two that share one are not to be expected.
Fingerprints = npt.NDArray[np.uint64]
_HASH_KEYS = ("currents-export1", "currents-export2")
_STORED = np.dtype("<u8")
_PARALLEL_READS = 16


def fingerprints(ids: pa.Array) -> Fingerprints:
    """The fingerprints of text ids, a row of two numbers each."""
    values = ids.to_numpy(zero_copy_only=False)
    return np.column_stack([pd.util.hash_array(values, hash_key=key, categorize=False) for key in _HASH_KEYS])


class SeenIds:
    """A set of fingerprints, as a few sorted runs: a Python set of ids would take five times the memory."""

    def __init__(self) -> None:
        self._runs: list[Fingerprints] = []

    def add(self, found: Fingerprints) -> None:
        """Takes fingerprints in. Runs of like size are merged, so that there are never more than a few."""
        run = found[np.argsort(found[:, 0], kind="stable")]
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.concatenate([self._runs.pop(), run])
            run = run[np.argsort(run[:, 0], kind="stable")]
        if len(run):
            self._runs.append(run)

    def contains(self, found: Fingerprints) -> npt.NDArray[np.bool_]:
        """For each fingerprint, whether it was taken in before."""
        seen = np.zeros(len(found), dtype=bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run[:, 0], found[:, 0]), len(run) - 1)
            seen |= (run[places] == found).all(axis=1)
        return seen

    def take_new(self, ids: pa.Array) -> tuple[npt.NDArray[np.bool_], Fingerprints]:
        """Takes ids in; returns which of them are new, the first of each in ``ids``, and the fingerprints of those."""
        found = fingerprints(ids)
        new = ~(self.contains(found) | pd.DataFrame(found).duplicated().to_numpy())
        self.add(found[new])
        return new, found[new]


class DeliveredIds:
    """The fingerprints of delivered files, an object for each file and event type, 16 bytes an id."""

    def __init__(self, store: ObjectStore, layout: Layout) -> None:
        self._store = store
        self._layout = layout

    def write(self, file: SourceFile, event_type: str, found: Iterable[Fingerprints]) -> None:
        """Keeps the ids that a file brought. They count once the ledger calls the file done."""
        body = b"".join(each.astype(_STORED).tobytes() for each in found)
        if body:
            self._store.write(self._layout.ids_of(file, event_type), body)

    def read(self, hour: str, event_type: str, done: Collection[str]) -> SeenIds:
        """The ids that the files ``done`` brought to an event type and hour."""
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
    """The ids that were delivered, or came before in this delivery, read when they are first asked for.

    ``files`` has the ids of the delivered files by hour.
    """

    def __init__(self, delivered: DeliveredIds) -> None:
        self.files: Mapping[str, Collection[str]] = {}
        self._delivered = delivered
        self._seen: dict[tuple[str, str], SeenIds] = {}

    def of(self, hour: str, event_type: str) -> SeenIds:
        """Those of an hour and event type, to which more may be added."""
        place = (hour, event_type)
        if place not in self._seen:
            self._seen[place] = self._delivered.read(*place, self.files.get(hour, ()))
        return self._seen[place]

    def forget(self, hour: str) -> None:
        """Lets go of an hour's ids, of which no more files come: a task of many hours would hold them all."""
        self._seen = {place: ids for place, ids in self._seen.items() if place[0] != hour}
