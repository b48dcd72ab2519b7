"""What somebody wants to be told of by a scheduled run: of the hours that it accounted for, and of others just now.

Nothing is remembered for it: silence and incomplete hours are told of by the run that is so many hours later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from currents_core.books.overview import HourView
from currents_core.hour import hours_back
from currents_core.setup.settings import Notify
from currents_core.showing.calendar import STATES, Looks

# An hour with fewer rows says little about a rate.
_LEAST_ROWS = 100


def alerts(notify: Notify, looks: Looks, hour: str, accounted: Collection[str]) -> list[str]:
    """The alerts of the scheduled run for ``hour``, a line each. ``accounted`` are the hours that it accounted for."""
    views = [view for each in sorted(accounted) if (view := looks.views.get(each))]
    found = [line for view in views for line in (*_of_letters(notify, view), *_of_drift(notify, view, looks.views))]
    return [*found, *_of_silence(notify, looks.views, hour), *_of_incomplete(notify, looks, hour)]


def _of_letters(notify: Notify, view: HourView) -> Iterator[str]:
    counts, most = view.counts, notify.dead_letter_rate
    if most is not None and counts.read >= _LEAST_ROWS and counts.dead_lettered > most * counts.read:
        codes: dict[str, int] = {}
        for each in view.types.values():
            for code, count in each.codes.items():
                codes[code] = codes.get(code, 0) + count
        named = ", ".join(f"{count:,} {code}" for code, count in sorted(codes.items(), key=lambda each: -each[1])[:3])
        part = counts.dead_lettered / counts.read
        yield f"{view.hour}: {part:.1%} of {counts.read:,} rows became dead letters ({named}), more than {most:.1%}"


def _of_drift(notify: Notify, view: HourView, views: Mapping[str, HourView]) -> Iterator[str]:
    if not notify.drift:
        return
    [before] = hours_back(view.hour, 1)
    known = views[before].drift if before in views else 0
    if view.drift > known:
        yield f"{view.hour}: rows differ from what Braze documents in {view.drift} ways; see `drift` in its manifest"


def _of_silence(notify: Notify, views: Mapping[str, HourView], hour: str) -> Iterator[str]:
    if notify.silent_hours is None:
        return
    [*quiet, last] = reversed([*hours_back(hour, notify.silent_hours), hour])
    heard = {each for each, view in views.items() if view.counts.read}
    if last in heard and not heard & {*quiet}:
        yield f"nothing from Braze since {last}, {notify.silent_hours} hours; look at the Currents connector in Braze"


def _of_incomplete(notify: Notify, looks: Looks, hour: str) -> Iterator[str]:
    if notify.incomplete_hours is None:
        return
    cell = looks.cell(hours_back(hour, notify.incomplete_hours)[0])
    if cell.state in ("failed", "late", "open"):
        yield f"{cell.hour} is not complete after {notify.incomplete_hours} hours: {cell.state}, {STATES[cell.state]}"
