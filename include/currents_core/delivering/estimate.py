"""Estimates how many events a run would send, from the sizes of its files and a look at a few of their footers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from currents_core.errors import CurrentsError
from currents_core.file_key import SourceFile
from currents_core.ports import ObjectStore
from currents_core.reading.parquet_footer import rows_told

# So many files stand for all of them.
_LOOKED_AT = 20
# Most footers fit.
_TAIL_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Estimate:
    """``files`` of so many ``bytes`` have so many ``events``, by the footers of those ``looked_at``.

    ``events`` is None if no footer could be read.
    """

    files: int
    bytes: int
    events: int | None
    looked_at: int = 0


def estimate(store: ObjectStore, files: Sequence[SourceFile]) -> Estimate:
    """The estimate for some files. A file that has no footer, as one in Avro, counts by its size."""
    ordered = sorted(files, key=lambda file: (file.size, file.key))
    # From the smallest to the largest, as rows of small files take more bytes.
    parquet = [file for file in ordered if file.key.endswith(".parquet")]
    chosen = parquet[:: -(-len(parquet) // _LOOKED_AT) or 1]
    rows = {file: found for file in chosen if (found := _rows(store, file)) is not None}
    size, looked = sum(file.size for file in files), sum(file.size for file in rows)
    if files and not looked:
        return Estimate(len(files), size, None)
    return Estimate(len(files), size, round(sum(rows.values()) * size / looked) if files else 0, len(rows))


def _rows(store: ObjectStore, file: SourceFile) -> int | None:
    """The rows that a file says it has; None if nobody knows."""
    start = max(0, file.size - _TAIL_BYTES)
    try:
        tail = store.read_part(file.key, start, file.size - start) if file.size else None
        return rows_told(tail) if tail else None
    except (CurrentsError, ArithmeticError, LookupError, ValueError):
        # Whatever is wrong with it, its delivery will say so.
        return None
