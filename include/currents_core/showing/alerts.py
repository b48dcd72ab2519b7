"""What somebody wants to be told of by the newest scheduled run, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from currents_core.books.overview import HourView
from currents_core.counted import counted
from currents_core.hour import hours_back
from currents_core.setup.settings import Notify
from currents_core.showing.calendar import STATES, Looks, State, stretches

# An hour with fewer rows says little about a rate.
_LEAST_ROWS = 100
# The least hours that a run looks at: a day more than a threshold may count, so that the next run tells what one that
# was missing would have told.
ALERT_HOURS = 96
# Dead letters and drift are news for so long after an hour was accounted for. Whoever turns alerts on is not told of
# old ones, and a run tells what the one before could not.
_NEWS = timedelta(days=1)
_TO_TELL: tuple[State, ...] = ("failed", "late", "open")


@dataclass(frozen=True, slots=True)
class Alert:
    """A line for people, and the marks of what it tells of, each an hour and a word."""

    line: str
    marks: frozenset[str]


def alerts(notify: Notify, looks: Looks, first: str, hour: str) -> list[Alert]:
    """What the scheduled run for ``hour`` has to tell of the hours from ``first`` on that the index has no marks of.

    The looks have the hour before ``first`` as well.
    """
    told = looks.index.told if looks.index else frozenset()
    views = [looks.views[each] for each in sorted(looks.views) if each >= first]
    news = [each for each in views if each.is_accounted and datetime.fromisoformat(each.written) > looks.now - _NEWS]
    found = [each for view in news for each in (*_of_letters(notify, view), *_of_drift(notify, view, looks.views))]
    found += [*_of_silence(notify, looks, first, hour), *_of_incomplete(notify, looks, hour, told)]
    return [each for each in found if not each.marks <= told]


def _of_letters(notify: Notify, view: HourView) -> Iterator[Alert]:
    counts, most = view.counts, notify.dead_letter_rate
    if most is not None and counts.read >= _LEAST_ROWS and counts.dead_lettered > most * counts.read:
        codes: Counter[str] = sum((Counter(each.codes) for each in view.types.values()), Counter())
        named = ", ".join(f"{count:,} {code}" for code, count in codes.most_common(3))
        part = counts.dead_lettered / counts.read
        line = f"{view.hour}: {part:.1%} of {counts.read:,} rows became dead letters ({named}), more than {most:.1%}"
        yield Alert(line, _marks("letters", view.hour))


def _of_drift(notify: Notify, view: HourView, views: Mapping[str, HourView]) -> Iterator[Alert]:
    if not notify.drift:
        return
    [before] = hours_back(view.hour, 1)
    known = views[before].drift if before in views else 0
    if view.drift > known:
        line = f"{view.hour}: rows differ from what Braze documents in {view.drift} ways; see `drift` in its manifest"
        yield Alert(line, _marks("drift", view.hour))


def _of_silence(notify: Notify, looks: Looks, first: str, hour: str) -> Iterator[Alert]:
    if notify.silent_hours is None or not looks.index:
        return
    what, remedy = f"{notify.silent_hours} hours", "look at the Currents connector in Braze"
    heard = [each for each, view in looks.views.items() if view.is_heard]
    if heard and max(heard) <= hours_back(hour, notify.silent_hours)[0]:
        yield Alert(f"nothing from Braze since {max(heard)}, {what}; {remedy}", _marks("silence", max(heard)))
    elif not heard and looks.index.first and looks.index.first <= first and not _has(looks.index.told, "silence"):
        yield Alert(f"nothing from Braze since {first}, or longer; {remedy}", _marks("silence", hour))


def _of_incomplete(notify: Notify, looks: Looks, hour: str, told: frozenset[str]) -> Iterator[Alert]:
    if notify.incomplete_hours is None:
        return
    last = hours_back(hour, notify.incomplete_hours)[0]
    cells = looks.cells(last, ALERT_HOURS - notify.incomplete_hours)
    # An hour that was told of parts the stretches before and after it.
    new = [replace(cell, state="none") if _marks("incomplete", cell.hour) <= told else cell for cell in cells]
    for each in reversed(stretches(new, _TO_TELL)):
        what = (
            f"{each.first} is"
            if each.count == 1
            else f"{each.first} to {each.last} ({counted(each.count, 'hour')}) are"
        )
        line = f"{what} not complete after {notify.incomplete_hours} hours: {each.state}, {STATES[each.state]}"
        hours = [*hours_back(each.last, each.count - 1), each.last]
        yield Alert(line, _marks("incomplete", *hours))


def _has(told: Collection[str], what: str) -> bool:
    return any(each.endswith(f" {what}") for each in told)


def _marks(what: str, *hours: str) -> frozenset[str]:
    """The hour comes first, so that marks can be told apart by age."""
    return frozenset(f"{hour} {what}" for hour in hours)
