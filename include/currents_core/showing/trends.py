"""How hours went: events, bytes, lag, the budget, money; summed over hours or days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from currents_core.books.account import Counts
from currents_core.books.overview import HourView
from currents_core.setup.settings import Budget


@dataclass(frozen=True, slots=True)
class Sum:
    """Some hours together.

    ``size`` is that of delivered files, in bytes. ``lag`` is the median and the 95th percentile of how long after the
    end of its hour a row's slice was delivered, in seconds; None where nobody knows. ``used`` is the largest part of
    the budget that a run used, and ``throttled`` the part of all tries that were throttled. The dollars are estimates
    from counts, of what a classic and a custom bus cost, with what replays sent again.
    """

    counts: Counts
    size: int
    lag: tuple[float, float] | None
    used: float
    throttled: float
    classic_dollars: float
    custom_dollars: float


def total(views: Iterable[HourView], budget: Budget, among: Iterable[HourView] = ()) -> Sum:
    """The sum of some hours. What a replay cost is divided among its hours, so far as these are ``among`` the given.

    By default, all of its hours are those that are summed up.
    """
    some = list(views)
    here, there = _hours_of_replays(some), _hours_of_replays(among)
    counts = sum((each.counts for each in some), Counts())
    replays = {run.run: run for each in some for run in each.replays}
    runs = ({run.run: run for each in some for run in each.runs} | replays).values()
    tries = sum(run.tries for run in runs)
    again = sum(
        (run.tries - run.throttled) * here[name] / max(here[name], there[name]) for name, run in replays.items()
    )
    millions = (counts.sent + again) / 1e6
    return Sum(
        counts,
        sum(kind.size for each in some for kind in each.types.values()),
        lag_of(some),
        max((run.used for run in runs), default=0.0),
        sum(run.throttled for run in runs) / tries if tries else 0.0,
        millions * budget.price_per_million_events,
        millions * budget.price_per_million_custom_events,
    )


def _hours_of_replays(views: Iterable[HourView]) -> Counter[str]:
    return Counter(run.run for each in views for run in each.replays)


def lag_of(views: Iterable[HourView]) -> tuple[float, float] | None:
    """The median and the 95th percentile of the lag of rows, in seconds; None where nobody knows of any."""
    known = sorted(
        (max(0.0, each.lag), each.counts.read)
        for view in views
        for each in view.types.values()
        if each.lag is not None and each.counts.read
    )
    return (_percentile(known, 0.5), _percentile(known, 0.95)) if known else None


def _percentile(weighted: Sequence[tuple[float, int]], part: float) -> float:
    """The value below which a part of the weight lies; values are sorted."""
    wanted, below = part * sum(weight for _, weight in weighted), 0
    for value, weight in weighted:
        below += weight
        if below >= wanted:
            return value
    return weighted[-1][0]
