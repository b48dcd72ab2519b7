"""Hours of many files, a large file, a month by the hour and as one stretch, and an hour without files."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.scale_run import EVENT_TYPE, PREFIX, SOURCE, Asked, Figures, World, hours_before
from benchmarks.sink import counting
from benchmarks.store import store
from currents_core.catalog import catalog
from tests.tools.sample import make_rows

# Of each small file.
ROWS = 3
GROUP_ROWS = 50_000
# How far back a scheduled run looks, by default.
WINDOW = 72


def files_in_an_hour(counts: Sequence[int], timeout: float, seconds: float = 0.0) -> Iterator[tuple[int, Figures]]:
    """An hour of so many small files, all of one event type, so that one task has to deliver them.

    S3 answers after ``seconds``.
    """
    for count in counts:
        # Its own store, so that no other hour is in the listings.
        with store(seconds) as running:
            world, [hour] = World(running, running.url, timeout), hours_before(1)
            world.fill(hours=[hour], files=count, rows=ROWS)
            yield count, world.run(Asked(hour))


def large_files(rows: Sequence[int], timeout: float) -> Iterator[tuple[int, float, Figures]]:
    """One Parquet file of so many rows, and its megabytes."""
    for count in rows:
        # A sink of its own, as the store would be what all waits for.
        with store() as running, counting() as where:
            world, [hour] = World(running, where.url, timeout), hours_before(1)
            body = _large_file(hour, count)
            running.put(SOURCE, f"{PREFIX}event_type={EVENT_TYPE}/date={hour}/large.parquet", body)
            yield count, len(body) / 1e6, world.run(Asked(hour))


def _large_file(hour: str, rows: int) -> bytes:
    """A file whose rows are alike but for their ids, in groups of rows as writers make them."""
    group = make_rows(EVENT_TYPE, min(rows, GROUP_ROWS), hour=hour)
    place, rng, written = group.schema.get_field_index("id"), random.Random(0), BytesIO()
    with pq.ParquetWriter(written, group.schema) as writer:
        for _ in range(rows // len(group)):
            ids = [str(UUID(int=rng.getrandbits(128), version=4)) for _ in range(len(group))]
            writer.write_table(group.set_column(place, "id", pa.array(ids)))
    return written.getvalue()


@dataclass(frozen=True)
class Month:
    """The same hours as runs of a backfill, and as one run by hand."""

    hours: int
    runs: Figures
    stretch: Figures


def month(hours: int, types: int, timeout: float) -> Month:
    """So many hours, each with a small file of so many event types."""
    every, found = hours_before(hours, back=WINDOW), []
    told = sorted(name for name, each in catalog().items() if each.stored)[:types]
    for asked in ([Asked(hour, kind="backfill") for hour in every], [Asked(every[0], until=every[-1])]):
        with store() as running:
            world = World(running, running.url, timeout)
            world.fill(hours=every, files=1, rows=ROWS, types=told)
            found.append(world.run(*asked))
    return Month(hours, *found)


def empty_hour(types: int, timeout: float) -> Figures:
    """A scheduled run of an hour without files, when all of its window is delivered and in the index."""
    told = sorted(name for name, each in catalog().items() if each.stored)[:types]
    with store() as running:
        world = World(running, running.url, timeout)
        *window, last = hours_before(WINDOW + 1)
        world.fill(hours=window, files=1, rows=ROWS, types=told)
        world.run(Asked(window[0], until=window[-1]), Asked(window[-1], kind="scheduled"))
        return world.run(Asked(last, kind="scheduled"))
