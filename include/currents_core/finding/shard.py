"""Shards: the files that one mapped task delivers."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import takewhile
from math import ceil
from typing import Any

from currents_core.books.index import Index
from currents_core.counted import counted
from currents_core.errors import shown
from currents_core.file_key import Slice, SourceFile
from currents_core.finding.discover import Look
from currents_core.finding.plan import work_as_json, work_from_json
from currents_core.mode import Mode
from currents_core.setup.run_request import RunRequest

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
    """The slices of one task, ordered by hour, with the files to deliver of each.

    ``mark`` is how their events are marked. ``is_past``: they are of hours before the run's own, and a slice that
    another task has is left to it, if that is alive. ``new`` are the slices that nobody had begun when it was planned.
    """

    work: Mapping[Slice, tuple[SourceFile, ...]]
    mark: Mode = "live"
    is_past: bool = False
    new: frozenset[Slice] = frozenset()

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """The files of all slices."""
        return tuple(file for files in self.work.values() for file in files)

    def without_ended(self, keeps: Callable[[str], bool]) -> Shard:
        """The shard without past hours whose state has ended since it was planned."""
        return replace(self, work={place: each for place, each in self.work.items() if keeps(place.hour)})

    @property
    def hour(self) -> str:
        """Its first hour."""
        return next(iter(self.work)).hour

    @property
    def label(self) -> str:
        """What people see in the grid: event types, files, megabytes."""
        types = sorted({place.event_type or "unnamed" for place in self.work})
        what = shown(types[0], _LABEL_TYPE) if len(types) == 1 else counted(len(types), "event type")
        megabytes = sum(file.size for file in self.files) / 1e6
        return f"{what.translate(_NO_TEMPLATE)}, {counted(len(self.files), 'file')}, {megabytes:.1f} MB"

    @property
    def prefix(self) -> str:
        """The deepest folder that contains all of its files, with a slash at its end; empty for the whole bucket."""
        levels = zip(*(file.folder.split("/") for file in self.files), strict=False)
        same = takewhile(lambda names: len(set(names)) == 1, levels)
        return "".join(f"{names[0]}/" for names in same)

    def as_json(self) -> dict[str, object]:
        """The shard as the plan in the state stores it."""
        new = sorted(([*place] for place in self.new), key=str)
        return {"work": work_as_json(self.work), "mark": self.mark, "is_past": self.is_past, "new": new}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Shard:
        """The shard that ``as_json`` gave."""
        new = frozenset(Slice(*each) for each in raw["new"])
        return cls(work_from_json(raw["work"]), raw["mark"], raw["is_past"], new)


def plan_shards(
    work: Mapping[Slice, Sequence[SourceFile]],
    *,
    max_shards: int = MAX_SHARDS,
    mark: Mode = "live",
    is_past: bool = False,
    new: Set[Slice] = frozenset(),
) -> list[Shard]:
    """Spreads slices over as few shards as keep each near SHARD_BYTES, balanced by bytes.

    The same slices always give the same shards. A slice is never divided: only one task at a time can have it.
    """
    in_order = sorted(work.items(), key=lambda each: (each[0].hour, each[0].event_type or ""))
    count = min(max_shards, len(in_order), ceil(sum(_weight(files) for _, files in in_order) / SHARD_BYTES))
    bins: list[tuple[int, int, list[Slice]]] = [(0, number, []) for number in range(count)]
    for place, files in sorted(in_order, key=lambda each: _weight(each[1]), reverse=True):
        weight, number, held = heapq.heappop(bins)
        heapq.heappush(bins, (weight + _weight(files), number, [*held, place]))
    return [
        Shard(
            {
                place: _in_order(work[place])
                for place in sorted(held, key=lambda each: (each.hour, each.event_type or ""))
            },
            mark,
            is_past,
            frozenset(held) & new,
        )
        for _, _, held in sorted(bins, key=lambda each: each[1])
    ]


def plan_run(found: Look, request: RunRequest, index: Index, *, marks_backfills: bool) -> list[Shard]:
    """The shards of a run: those of its own hours first, then those of past hours.

    Past hours before the first scheduled run count as backfill, and ``marks_backfills`` says whether events show that.
    A run with a maximum of events has one shard, as that is counted by one task.
    """
    groups: dict[tuple[bool, Mode], dict[Slice, Sequence[SourceFile]]] = {(False, request.mark): {}}
    for place, files in found.work.items():
        is_past = place.hour not in request.hours
        mark: Mode = "backfill" if is_past and place.hour < index.first and marks_backfills else request.mark
        groups.setdefault((is_past, mark), {})[place] = files
    most = 1 if request.max_events else MAX_SHARDS
    return [
        shard
        for (is_past, mark), each in sorted(groups.items())
        for shard in plan_shards(each, max_shards=most, mark=mark, is_past=is_past, new=found.new)
    ]


def _weight(files: Sequence[SourceFile]) -> int:
    return sum(file.size + FILE_BYTES for file in files) or FILE_BYTES


def _in_order(files: Iterable[SourceFile]) -> tuple[SourceFile, ...]:
    return tuple(sorted(files, key=lambda file: file.key))
