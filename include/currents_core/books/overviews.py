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

from currents_core.books.format import DamagedError, sound
from currents_core.books.layout import Layout, date_of
from currents_core.books.manifest_objects import listed_manifests
from currents_core.books.overview import HourView, Week, parse_week, week_of
from currents_core.books.run_record import RunPass
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

        Of a week that there is none of, all hours are taken in: somebody may have removed it. It takes a listing, and a
        request for each week and for each manifest that is new. Raises TransientError if others were always first, or
        the store gave no answer, and SetupError as ``between`` does.
        """
        begin, end = week_of(first), week_of(last)
        by_week: dict[str, dict[str, str]] = defaultdict(dict)
        for hour, each in listed_manifests(self.store, self.layout, since=f"{begin}-00"):
            if week_of(hour) > end:
                break
            by_week[week_of(hour)][hour] = each.etag
        for week in self._read(by_week):
            known = week.hours
            wanted = {hour: etag for hour, etag in by_week[week.date].items() if first <= hour <= last or not known}
            self._take_in(week, [hour for hour, etag in wanted.items() if week.hour(hour).etag != etag])

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
            found = [(hour, manifest(hour)) for hour in unknown]
            self._change(week.date, [HourView.of_manifest(hour, told, "") for hour, told in found if told])

    def note_replay(self, hours: Iterable[str], run: RunPass) -> None:
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
        told = [self._told(hour, stored) for hour, stored in found if stored]
        self._change(week.date, [each for each in told if each])

    def _told(self, hour: str, stored: Version) -> HourView | None:
        """What a manifest tells; None if it is damaged, which keeps no other from being taken in."""
        uri = f"s3://{self.store.bucket}/{self.layout.manifest(hour)}"
        try:
            return sound(stored.body, uri, lambda raw: HourView.of_manifest(hour, raw, stored.etag.strip('"')))
        except DamagedError as error:
            log.warning("%s; the overview has this hour as before", error)
            return None

    def _change(self, date: str, told: Sequence[HourView]) -> None:
        def step(week: Week) -> Week:
            return week.with_hours(week.hour(each.hour).with_account(each) for each in told)

        if told:
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
        """The week, or an empty one where there is none."""
        uri = f"s3://{self.store.bucket}/{self.layout.overview(date)}"
        try:
            return parse_week(stored.body, uri) if stored else Week(date)
        except DamagedError as error:
            # Nobody but a person may do that: of replays nothing else tells.
            remedy = "or remove it, and the next run makes it anew from the manifests, without what it says of replays"
            raise DamagedError(f"{error.message}, {remedy}", uri=uri) from error


def _with_replay(week: Week, *, hours: Iterable[str], run: RunPass) -> Week:
    return week.with_hours(week.hour(hour).with_replay(run) for hour in hours)


def _days(first: str, last: str) -> list[str]:
    """An hour of each day from that of ``first`` to that of ``last``."""
    start, count = parse_hour(first), (parse_hour(last).date() - parse_hour(first).date()).days
    return [format_hour(start + timedelta(days=number)) for number in range(count + 1)]
