"""Hints that something is missing in the source: holes in the numbers of Braze's files, and types that fell silent.

Braze names its files `…+<partition>+<offset>.<format>`, and does not document what the numbers mean. They look like
those of a Kafka topic: a file's offset, and as many more as it has rows, is the offset of the next file of its
partition. Where it is not, rows may be missing, or may only have been skipped: a hint, and no fault.

Source of the names:
https://www.braze.com/docs/user_guide/data/distribution/braze_currents/setting_up_currents/event_delivery_semantics
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from currents_core.books.overview import HourView
from currents_core.file_key import SourceFile

_NAME = re.compile(r"(.*)\+(\d{1,9})\+(\d{1,18})\.\w+\Z")
# A type that had some in so many of the hours before, and in none of the last ones, has fallen silent.
_USUAL, _LAST_HOURS = 0.9, 6


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that no file has: how many are ``missing`` between two files of a partition, by their keys."""

    event_type: str | None
    partition: int
    missing: int
    after: str
    before: str


@dataclass(frozen=True, slots=True)
class Silence:
    """An event type that has files or rows in most hours, and none since the hour ``last``."""

    event_type: str
    last: str


def gaps(rows: Mapping[SourceFile, int]) -> list[Gap]:
    """The gaps between files whose numbers of ``rows`` are known, the largest first. Files of other names have none."""
    found: dict[tuple[str | None, str, int], list[tuple[int, int, str]]] = defaultdict(list)
    for file, count in rows.items():
        if named := _NAME.fullmatch(file.key.rpartition("/")[2]):
            found[file.event_type, named[1], int(named[2])].append((int(named[3]), count, file.key))
    told = []
    for (event_type, _, partition), each in found.items():
        stop, last = -1, ""
        for offset, count, key in sorted(each):
            if last and offset > stop:
                told.append(Gap(event_type, partition, offset - stop, last, key))
            if offset + count >= stop:
                stop, last = offset + count, key
    return sorted(told, key=lambda gap: (-gap.missing, gap.after))


def silences(views: Iterable[HourView]) -> list[Silence]:
    """The types that have fallen silent, in some hours that were accounted for; the longest silence first."""
    known = sorted((view for view in views if view.is_accounted), key=lambda view: view.hour)
    before, last = known[:-_LAST_HOURS], {view.hour for view in known[-_LAST_HOURS:]}
    hours: dict[str, list[str]] = defaultdict(list)
    for view in known:
        for name, each in view.types.items():
            if each.is_heard:
                hours[name].append(view.hour)
    return sorted(
        (
            Silence(name, heard[-1])
            for name, heard in hours.items()
            if before and len(heard) >= _USUAL * len(before) and heard[-1] not in last
        ),
        key=lambda silence: (silence.last, silence.event_type),
    )
