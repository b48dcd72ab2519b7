"""Ends what is kept of days that are older than the connector's retention: a day goes whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from currents_core.books.layout import (
    EARLIER,
    HOURS,
    Layout,
    date_of,
    is_day_index,
    is_head,
    week_of_overview,
)
from currents_core.crew import Crew, Threads
from currents_core.errors import SetupError
from currents_core.hour import date_end, date_of_hour
from currents_core.ports import ObjectStore


def is_kept(hour: str, first_date: str) -> bool:
    """Whether the state of an hour is kept: its day has not ended."""
    return date_of_hour(hour) >= first_date


def require_kept(hour: str, first_date: str) -> None:
    """Raises SetupError if an hour comes before the first date of which the state is kept.

    What was sent of such an hour is not known any more, so that a delivery would send all of it again.
    """
    if not is_kept(hour, first_date):
        raise SetupError(
            f"the state of {hour} has ended: state.retention_days keeps what began on {first_date} or later, and "
            "without it nobody knows what was sent; replay the hour if it is to be sent again"
        )


@dataclass
class Retention:
    """Ends the days before ``first_date``, and the replays of which nothing was changed for ``seconds``."""

    store: ObjectStore
    layout: Layout
    first_date: str
    seconds: float
    crew: Crew = field(default_factory=Threads)

    def end_next(self) -> str | None:
        """Ends the oldest of these days, all such replays, and overviews of nothing later.

        Returns the date; None if there is no such day.
        """
        for folder in self.store.folders(self.layout.replays):
            self._end_replay(folder)
        self._end_weeks()
        dates = sorted(date for date in self._dates() if date < self.first_date)
        if not dates:
            return None
        keys = list(self._keys(dates[0]))
        # A head or an index goes before the pages that it names.
        naming = [key for key in keys if is_head(key) or is_day_index(key)]
        for some in (naming, [key for key in keys if key not in naming]):
            for job in [self.crew.start(self.store.delete, key) for key in some]:
                job.result()
        return dates[0]

    def _end_replay(self, folder: str) -> None:
        listed = list(self.store.objects(folder))
        if all(each.age > self.seconds for each in listed):
            for each in listed:
                self.store.delete(each.key)

    def _end_weeks(self) -> None:
        """Ends overviews of weeks all of whose days come before the first date, unless a replay was noted since."""
        for each in list(self.store.objects(self.layout.overview())):
            monday = week_of_overview(each.key)
            is_over = monday and f"{date_end(monday) + timedelta(days=6):%Y-%m-%d}" <= self.first_date
            if is_over and each.age > self.seconds:
                self.store.delete(each.key)

    def _dates(self) -> set[str]:
        """The dates of which anything is kept."""
        folders = [
            self.layout.day(),
            *(self.layout.hours(kind) for kind in ("slices", "oversized", "plans")),
            *(self.layout.earlier(kind) for kind in EARLIER),
        ]
        keys = [key for folder in folders for key in self.store.folders(folder)]
        keys += [each.key for each in self.store.objects(self.layout.hours("manifests"))]
        return {date for key in keys if (date := date_of(key))}

    def _keys(self, date: str) -> Iterator[str]:
        prefixes = [
            self.layout.day(date),
            *(self.layout.hours(kind, date) for kind in HOURS),
            *(f"{self.layout.earlier(kind)}date={date}-" for kind in EARLIER),
        ]
        for prefix in prefixes:
            yield from (each.key for each in self.store.objects(prefix))
