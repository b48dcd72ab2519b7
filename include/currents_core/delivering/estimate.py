"""Estimates how many events a run would send, from the sizes of its files and a look at a few of them."""

from __future__ import annotations

from collections.abc import Sequence
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
    # From the smallest to the largest, as rows of small files take more bytes.
    ordered = sorted(files, key=lambda file: (file.size, file.key))
    chosen = ordered[:: -(-len(ordered) // _LOOKED_AT) or 1]
    rows = {file: found for file in chosen if (found := _rows(store, file)) is not None}
    size, looked = sum(file.size for file in files), sum(file.size for file in rows)
    if files and not looked:
        return Estimate(len(files), size, None)
    return Estimate(len(files), size, round(sum(rows.values()) * size / looked) if files else 0, len(rows))


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
