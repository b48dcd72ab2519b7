"""Estimates how many events a run would send, from the sizes of its files and a look at a few of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from currents_core.errors import CurrentsError
from currents_core.file_key import SourceFile
from currents_core.ports import ObjectStore
from currents_core.reading.parquet_footer import rows_told
from currents_core.reading.read_avro import rows_likely

# So many files stand for all of them.
_LOOKED_AT = 20
# Most footers fit, and most headers.
_LOOK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Estimate:
    """``files`` of so many ``bytes`` have so many ``events``, by those ``looked_at``.

    ``events`` is None if none of them told.
    """

    files: int
    bytes: int
    events: int | None
    looked_at: int = 0


def estimate(store: ObjectStore, files: Sequence[SourceFile]) -> Estimate:
    """The estimate for some files: Parquet files tell in their footers, Avro files by their first blocks."""
    size, looked, told, events = sum(file.size for file in files), 0, 0, 0.0
    for group in _groups(files, size):
        middle = group[len(group) // 2]
        if (rows := _rows(store, middle)) is not None:
            looked += 1
            told += (of_group := sum(file.size for file in group))
            events += rows * of_group / middle.size
    if files and not told:
        return Estimate(len(files), size, None)
    # Groups that told nothing are like the others.
    return Estimate(len(files), size, round(events * size / told) if files else 0, looked)


def _groups(files: Sequence[SourceFile], size: int) -> Iterable[list[SourceFile]]:
    """The files by their sizes, in groups of about as many bytes: a few large ones may have most of the rows."""
    ordered, before = sorted(files, key=lambda file: (file.size, file.key)), 0
    if len(ordered) <= _LOOKED_AT:
        return [[file] for file in ordered]
    groups: dict[int, list[SourceFile]] = defaultdict(list)
    for file in ordered:
        before += file.size
        # By its end: a large one is not with the small ones before it.
        groups[max(before - 1, 0) * _LOOKED_AT // max(size, 1)].append(file)
    return groups.values()


def _rows(store: ObjectStore, file: SourceFile) -> int | None:
    """The rows that a file seems to have; None if nobody knows."""
    is_parquet = file.key.endswith(".parquet")
    start = max(0, file.size - _LOOK_BYTES) if is_parquet else 0
    try:
        part = store.read_part(file.key, start, min(file.size, _LOOK_BYTES)) if file.size else None
        if not part:
            return None
        return rows_told(part) if is_parquet else rows_likely(part, file.size)
    except (CurrentsError, ArithmeticError, LookupError, ValueError):
        # Whatever is wrong with it, its delivery will say so.
        return None
