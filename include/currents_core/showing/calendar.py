"""The hours of a connector at a glance: what became of each of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

from currents_core.books.index import Index
from currents_core.books.overview import HourView, TypeView
from currents_core.hour import format_hour, hour_end, hours_back

State = Literal["complete", "delivering", "failed", "open", "late", "waiting", "empty", "none"]

# In the order in which somebody should look at them, with what they mean.
STATES: dict[State, str] = {
    "failed": "a file can't be read",
    "late": "a run was due, and there was none",
    "open": "files are not delivered yet; the next run tries again",
    "delivering": "a run is delivering it",
    "waiting": "its run is not due yet",
    "complete": "every file is delivered, and every row accounted for",
    "empty": "a run found no files",
    "none": "nobody asked for it: before the first scheduled run, and not exported by hand",
}
# How long after it is due a run may begin before its hour counts as late.
_GRACE = timedelta(minutes=30)
# So long ago an hour was due that is missing in any case.
_DUE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cell:
    """One hour: its state, and what is known of it; None if nothing is."""

    hour: str
    state: State
    view: HourView | None = None

    @property
    def is_replayed(self) -> bool:
        """Whether a run sent the hour again."""
        return bool(self.view and self.view.replays)


@dataclass(frozen=True, slots=True)
class Looks:
    """What a connector's hours are judged by: its overview, its index if there is one, and what Airflow runs.

    ``delay`` is how long after its end an hour is due, and ``delivering`` are the hours that runs are at.
    """

    views: Mapping[str, HourView]
    index: Index | None
    now: datetime
    delay: timedelta
    delivering: Collection[str] = ()

    def cell(self, hour: str) -> Cell:
        """What became of an hour."""
        view = self.views.get(hour)
        return Cell(hour, self._state(hour, view), view)

    def cells(self, last: str, count: int) -> list[Cell]:
        """``count`` hours up to ``last``, oldest first. Hours that are not over are among them."""
        return [self.cell(hour) for hour in (*hours_back(last, count - 1), last)]

    def _state(self, hour: str, view: HourView | None) -> State:
        account = state_of(view) if view and view.is_accounted else None
        # Of an hour that was not over yet, nobody knows that nothing came after.
        known = account if account not in ("complete", "empty") or (view and view.was_over) else None
        if hour in self.delivering and known not in ("failed", "complete"):
            return "delivering"
        if known:
            return known
        if not account and (
            not self.index or not self.index.first or hour < max(self.index.first, self._known_since())
        ):
            return "none"
        if self.index and hour in self.index.begun:
            return "open"
        return "late" if self.now > hour_end(hour) + self.delay + _GRACE else "waiting"

    def _known_since(self) -> str:
        """The hour from which on one that nobody accounted for is missing: before it, nothing was kept in short."""
        accounted = (hour for hour, view in self.views.items() if view.is_accounted)
        return min((*accounted, newest_hour(self.now - _DUE)))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Hours in a row that are in the same state: the first, the last, and how many."""

    state: State
    first: str
    last: str
    count: int


def stretches(cells: Iterable[Cell], states: Collection[State]) -> list[Stretch]:
    """The stretches of hours that are in one of ``states``, the newest first; ``cells`` are hours in a row."""
    found: list[Stretch] = []
    for state, some in groupby(cells, lambda cell: cell.state):
        hours = [cell.hour for cell in some]
        if state in states:
            found.append(Stretch(state, hours[0], hours[-1], len(hours)))
    return found[::-1]


def state_of(view: HourView) -> State:
    """The state of an hour that was accounted for."""
    if any(each.failed for each in view.types.values()):
        return "failed"
    if not view.complete:
        return "open"
    return "complete" if any(each.delivered or each.counts.read for each in view.types.values()) else "empty"


def type_state(view: TypeView) -> State:
    """The state of one event type of an hour that was accounted for."""
    if view.failed:
        return "failed"
    if view.open:
        return "open"
    return "complete" if view.delivered or view.counts.read else "empty"


def worst(states: Collection[State]) -> State:
    """The state of several hours or types together: the one that somebody should look at first."""
    return next((state for state in STATES if state in states), "none")


def newest_hour(now: datetime) -> str:
    """The latest hour that is over."""
    return format_hour(now - timedelta(hours=1))
