"""Shards: the files that one mapped task delivers."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, takewhile
from math import ceil

from currents_core.counted import counted
from currents_core.errors import shown
from currents_core.file_key import SourceFile

MAX_SHARDS = 200
# In bytes. Starting a task takes seconds, so a shard should contain seconds of work.
SHARD_BYTES = 16_000_000
# The cost of opening, settling and listing a file, as the bytes that could be delivered in that time.
FILE_BYTES = 64_000
# Airflow stores at most 250 characters of a label. The rest is for the figures.
_LABEL_TYPE = 150
# Airflow renders labels as templates.
_NO_TEMPLATE = str.maketrans("{}", "()")


@dataclass(frozen=True, slots=True)
class Shard:
    """The files of one task, ordered by hour and key."""

    files: tuple[SourceFile, ...]

    @property
    def label(self) -> str:
        """What people see in the grid: event types, files, megabytes."""
        types = sorted({file.event_type or "unnamed" for file in self.files})
        what = shown(types[0], _LABEL_TYPE) if len(types) == 1 else counted(len(types), "event type")
        megabytes = sum(file.size for file in self.files) / 1e6
        return f"{what.translate(_NO_TEMPLATE)}, {counted(len(self.files), 'file')}, {megabytes:.1f} MB"

    @property
    def prefix(self) -> str:
        """The deepest folder that contains all of its files, with a slash at its end; empty for the whole bucket."""
        levels = zip(*(file.folder.split("/") for file in self.files), strict=False)
        same = takewhile(lambda names: len(set(names)) == 1, levels)
        return "".join(f"{names[0]}/" for names in same)

    def as_json(self) -> list[dict[str, object]]:
        """The files as the plan in the state stores them."""
        return [asdict(file) for file in self.files]

    @classmethod
    def from_json(cls, raw: Iterable[Mapping[str, object]]) -> Shard:
        """The shard that ``as_json`` gave."""
        return cls(tuple(SourceFile(**each) for each in raw))  # type: ignore[arg-type]


def plan_shards(files: Sequence[SourceFile], *, max_shards: int = MAX_SHARDS) -> list[Shard]:
    """Spreads files over as few shards as keep each near SHARD_BYTES, balanced by bytes.

    The same files always give the same shards. The files of one hour and event type stay together: events with the same
    id are sent only once among them, so one task must see them all.
    """
    # A file without an event type in its key may contain any, so its whole hour stays together.
    unnamed = {file.hour for file in files if not file.event_type}

    def group_of(file: SourceFile) -> tuple[str, str]:
        return file.hour, "" if file.hour in unnamed else file.event_type or ""

    in_order = sorted(files, key=lambda file: (group_of(file), file.key))
    groups = [list(group) for _, group in groupby(in_order, key=group_of)]
    count = min(max_shards, len(groups), ceil(_weight(files) / SHARD_BYTES))
    bins: list[tuple[int, int, list[SourceFile]]] = [(0, number, []) for number in range(count)]
    for group in sorted(groups, key=_weight, reverse=True):
        weight, number, held = heapq.heappop(bins)
        heapq.heappush(bins, (weight + _weight(group), number, held + group))
    return [Shard(tuple(sorted(held, key=_hour_and_key))) for _, _, held in sorted(bins, key=lambda each: each[1])]


def _weight(files: Iterable[SourceFile]) -> int:
    return sum(file.size + FILE_BYTES for file in files)


def _hour_and_key(file: SourceFile) -> tuple[str, str]:
    return file.hour, file.key
