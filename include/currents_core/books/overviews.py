"""The overviews of a connector: read by people's tools, and brought up to date by its runs from the manifests."""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import orjson

from currents_core.books.format import DamagedError
from currents_core.books.layout import Layout, date_of, hour_of_manifest
from currents_core.books.overview import HourView, Week, parse_week, week_of
from currents_core.books.run_record import RunRecord
from currents_core.crew import Crew, Threads
from currents_core.errors import TransientError
from currents_core.hour import format_hour, parse_hour
from currents_core.ports import ObjectStore, Version

log = logging.getLogger(__name__)

# How often a week is replaced before the fault is told: many runs of a backfill are at it at once.
_ATTEMPTS = 12
# The longest of the random waits between two of these, in seconds.
_LONGEST_WAIT = 2.0


@dataclass
class Overviews:
    """The overviews below the root of ``layout``."""

    store: ObjectStore
    layout: Layout
    crew: Crew = field(default_factory=Threads)
    rng: random.Random = field(default_factory=random.Random)

    def between(self, first: str, last: str) -> dict[str, HourView]:
        """What is known of the hours from ``first`` to ``last``, both included, in their order.

        It takes a request for each week. Raises SetupError if one is damaged, or of a newer version.
        """
        weeks = self._read({week_of(hour) for hour in _days(first, last)})
        found = {hour: view for week in weeks for hour, view in week.hours.items() if first <= hour <= last}
        return dict(sorted(found.items()))

    def catch_up(self, first: str, last: str) -> None:
        """Takes in what the manifests of some hours, both included, say that the overview doesn't.

        It takes a listing, and a request for each week and for each manifest that is new. Raises TransientError if
        others were always first, or the store gave no answer.
        """
        folder = self.layout.manifest("").removesuffix(".json")
        by_week: dict[str, dict[str, str]] = defaultdict(dict)
        for each in self.store.objects(folder, after=f"{folder}{first}"):
            hour = hour_of_manifest(each.key)
            if hour > last:
                break
            by_week[week_of(hour)][hour] = each.etag
        for week in self._read(by_week):
            listed = by_week[week.date]
            self._take_in(week, [hour for hour, etag in listed.items() if week.hour(hour).etag != etag])

    def fill(self, manifest: Callable[[str], Mapping[str, Any] | None], since: str) -> None:
        """Takes in days that were compacted before there was an overview, from the date ``since`` on.

        ``manifest`` reads that of an hour. Raises TransientError as ``catch_up`` does.
        """
        folders = self.store.folders(self.layout.day())
        by_week: dict[str, list[str]] = defaultdict(list)
        for date in sorted(date for folder in folders if (date := date_of(folder)) and date >= since):
            by_week[week_of(f"{date}-00")].append(date)
        for week in self._read(by_week):
            hours = [f"{date}-{number:02}" for date in by_week[week.date] for number in range(24)]
            unknown = [hour for hour in hours if not week.hour(hour).is_accounted]
            told = {hour: found for hour in unknown if (found := manifest(hour))}
            self._change(week.date, [(hour, found, "") for hour, found in told.items()])

    def note_replay(self, hours: Iterable[str], run: RunRecord) -> None:
        """Notes that a run sent some hours again. Raises TransientError as ``catch_up`` does."""
        by_week: dict[str, list[str]] = defaultdict(list)
        for hour in hours:
            by_week[week_of(hour)].append(hour)
        for date, each in by_week.items():
            self._replace(date, partial(_with_replay, hours=each, run=run))

    def _take_in(self, week: Week, hours: Iterable[str]) -> None:
        reads = {hour: self.crew.start(self.store.read_version, self.layout.manifest(hour)) for hour in hours}
        found = [(hour, read.result()) for hour, read in reads.items()]
        # One that is gone by now was compacted, or has ended.
        self._change(
            week.date,
            [(hour, orjson.loads(stored.body), stored.etag.strip('"')) for hour, stored in found if stored],
        )

    def _change(self, date: str, manifests: Sequence[tuple[str, Mapping[str, Any], str]]) -> None:
        def step(week: Week) -> Week:
            return week.with_hours(week.hour(hour).with_manifest(told, etag) for hour, told, etag in manifests)

        if manifests:
            self._replace(date, step)

    def _read(self, dates: Iterable[str]) -> list[Week]:
        """Weeks by the dates of their Mondays, in order; empty ones where there is none."""
        reads = [(date, self.crew.start(self.store.read_version, self.layout.overview(date))) for date in sorted(dates)]
        return [self._parsed(date, read.result()) for date, read in reads]

    def _replace(self, date: str, step: Callable[[Week], Week]) -> None:
        key = self.layout.overview(date)
        for attempt in range(1, _ATTEMPTS + 1):
            stored = self.store.read_version(key)
            before = self._parsed(date, stored)
            after = step(before)
            if after == before:
                return
            try:
                self.store.write_version(key, after.as_bytes(), stored.etag if stored else None)
                return
            except TransientError:
                if attempt == _ATTEMPTS:
                    raise
                self.crew.sleep(self.rng.uniform(0, min(_LONGEST_WAIT, 0.1 * 2**attempt)))

    def _parsed(self, date: str, stored: Version | None) -> Week:
        """The week, or an empty one where there is none, or a damaged one: it only repeats what manifests say."""
        uri = f"s3://{self.store.bucket}/{self.layout.overview(date)}"
        try:
            return parse_week(stored.body, uri) if stored else Week(date)
        except DamagedError as error:
            log.warning("%s; it is made anew from the manifests", error)
            return Week(date)


def _with_replay(week: Week, *, hours: Iterable[str], run: RunRecord) -> Week:
    return week.with_hours(week.hour(hour).with_replay(run) for hour in hours)


def _days(first: str, last: str) -> list[str]:
    """An hour of each day from that of ``first`` to that of ``last``."""
    start, count = parse_hour(first), (parse_hour(last).date() - parse_hour(first).date()).days
    return [format_hour(start + timedelta(days=number)) for number in range(count + 1)]
