"""Source files without Parquet: a small library of contents, a reader that gives them as batches, and their meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa

from currents_core.books.id_pages import fingerprints
from currents_core.errors import FileError
from currents_core.reading.read import Batch, Contents
from currents_core.shaping.envelope import Events
from tests.simulation.scheduler import Scheduler

OPEN, CLICK = "users.messages.email.Open", "users.messages.email.Click"
HOUR = "2026-11-23-08"
IDS = [f"id-{letter}" for letter in "abcdefghijklmnop"]
US = set(IDS[::2])

_BOOKS = 40
_ROWS_AT_A_TIME = 5


def _library() -> list[tuple[str | None, ...]]:
    """The rows of each content, by their ids; a row without an id can't become an event."""
    random = Random(1)
    contents = []
    for _ in range(_BOOKS):
        rows: list[str | None] = [random.choice(IDS) for _ in range(random.randint(1, 13))]
        if random.random() < 0.3:
            rows[random.randrange(len(rows))] = None
        contents.append(tuple(rows))
    return contents


LIBRARY = _library()


def body_of(book: int, damaged_at: int | None = None) -> bytes:
    """An object with the content ``book``; it can't be read from row ``damaged_at`` on."""
    return f"{book} {'' if damaged_at is None else damaged_at}".encode()


def rows_of(body: bytes) -> tuple[str | None, ...]:
    """The ids of the rows that can be read."""
    book, damaged_at = _parsed(body)
    return LIBRARY[book][:damaged_at]


def is_damaged(body: bytes) -> bool:
    """Whether a file can't be read to its end."""
    return _parsed(body)[1] is not None


def _parsed(body: bytes) -> tuple[int, int | None]:
    book, _, damaged_at = body.decode().partition(" ")
    return int(book), int(damaged_at) if damaged_at else None


def reader(scheduler: Scheduler) -> Callable[[Path, str], Contents]:
    """What stands for ``currents_core.reading.read.read``. Others may run between two batches."""

    def read(path: Path, uri: str) -> Contents:
        return Contents(pa.schema([]), None, 0, batches(path.read_bytes(), uri))

    def batches(body: bytes, uri: str) -> Iterator[Batch]:
        book, damaged_at = _parsed(body)
        for first in range(0, len(LIBRARY[book]), _ROWS_AT_A_TIME):
            scheduler.pause()
            if damaged_at is not None and damaged_at < first + _ROWS_AT_A_TIME:
                if damaged_at > first:
                    yield Batch(_frame(book, first, damaged_at), is_oversized=False)
                raise FileError("damaged from here on; replace or remove it", uri=uri)
            yield Batch(_frame(book, first, first + _ROWS_AT_A_TIME), is_oversized=False)

    return read


@cache
def _frame(book: int, first: int, stop: int) -> pd.DataFrame:
    ids = LIBRARY[book][first:stop]
    columns = {
        "id": pa.array(ids, pa.string()),
        "time": pa.array(range(first, first + len(ids)), pa.int64()),
        "country": pa.array(["US" if each in US else "DE" for each in ids], pa.string()),
    }
    index = pd.RangeIndex(first, first + len(ids))
    return pd.DataFrame(
        {name: pd.Series(pd.arrays.ArrowExtensionArray(values), index=index) for name, values in columns.items()}
    )


@cache
def prints_of(event_type: str) -> dict[tuple[int, int], str]:
    """The id that each fingerprint stands for."""
    found = fingerprints(pa.array(IDS, pa.string()), event_type).tolist()
    return {(first, second): each for (first, second), each in zip(found, IDS, strict=True)}


def remembering(work: Callable[..., Any], key: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which does not work twice for what has the same key."""
    known: dict[Any, Any] = {}

    def remembered(*given: Any, **more: Any) -> Any:
        told = key(*given)
        if told not in known:
            known[told] = work(*given, **more)
        return known[told]

    return remembered


def rows_key(frame: pd.DataFrame, *rest: Any) -> tuple[Any, ...]:
    """What tells rows of the library apart from all others."""
    return (*frame.columns, *frame.index, *frame["id"], *map(str, rest))


def events_key(events: Events, *rest: Any) -> tuple[Any, ...]:
    """What tells events of the library apart from all others."""
    return rows_key(events.frame, events.event_type, *rest)
