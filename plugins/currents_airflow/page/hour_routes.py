"""The routes about hours: a month of them, a day, one, and their trends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from currents_airflow.page.access import OnePermitted
from currents_airflow.page.books import Books
from currents_airflow.page.chart import chart
from currents_airflow.page.commands import Commands
from currents_airflow.page.grid import DAYS, bounds, by_day, by_type, parsed_day, period
from currents_airflow.page.manifest import told_of
from currents_airflow.page.runs import hours_under_way, live_runs
from currents_airflow.page.show import require_hour, show
from currents_core.showing.calendar import stretches
from currents_core.showing.letter_codes import letters_of
from currents_core.showing.trends import total

router = APIRouter()


@router.get("/c/{name}/")
def hours(request: Request, connector: OnePermitted, until: str | None = None, by: str = "state") -> Response:
    """A month at a glance."""
    now = datetime.now(UTC)
    last = parsed_day(until, now)
    looks = Books(connector).looks(*bounds(last), hours_under_way(live_runs(connector)))
    cells = looks.cells(bounds(last)[1], DAYS * 24)
    views = [cell.view for cell in cells if cell.view]
    week = [view for view in views if view.hour[:10] > f"{last - timedelta(days=7):%Y-%m-%d}"]
    context = {
        "connector": connector,
        **period(last),
        "by": by,
        "rows": by_type(cells, of_day=False) if by == "type" else by_day(cells),
        "attention": stretches(cells, ("failed", "late", "open")),
        "done": sum(cell.state in ("complete", "empty") for cell in cells),
        "asked": sum(cell.state not in ("none", "waiting") for cell in cells),
        "week": total(week, connector.budget),
        "month": total(views, connector.budget),
        "letters": letters_of(views).count,
        "newest": max((view.hour for view in views if view.is_heard), default=""),
    }
    return show(request, "hours", context)


@router.get("/c/{name}/days/{day}")
def of_day(request: Request, connector: OnePermitted, day: str) -> Response:
    """A day, by event types."""
    date = parsed_day(day, datetime.now(UTC))
    first, last = f"{date}-00", f"{date}-23"
    looks = Books(connector).looks(first, last, hours_under_way(live_runs(connector)))
    cells = looks.cells(last, 24)
    context = {
        "connector": connector,
        "date": date,
        "hours": cells,
        "rows": by_type(cells, of_day=True),
        "total": total((cell.view for cell in cells if cell.view), connector.budget),
    }
    return show(request, "day", context)


@router.get("/c/{name}/hours/{hour}")
def of_hour(request: Request, connector: OnePermitted, hour: str) -> Response:
    """An hour: its account, its files, its runs."""
    require_hour(hour)
    books, runs = Books(connector), live_runs(connector)
    cell = books.looks(hour, hour, hours_under_way(runs)).cell(hour)
    context = {
        "connector": connector,
        "cell": cell,
        "total": total([cell.view] if cell.view else [], connector.budget),
        "live": [run for run in runs if hour in run.hours],
        "told": told_of(books, hour),
        "commands": Commands(connector.name, hour, hour),
    }
    return show(request, "hour", context)


@router.get("/c/{name}/trends")
def trends(request: Request, connector: OnePermitted, until: str | None = None) -> Response:
    """The days of a month."""
    last = parsed_day(until, datetime.now(UTC))
    views = Books(connector).views(*bounds(last))
    days = [f"{last - timedelta(days=back):%Y-%m-%d}" for back in range(DAYS - 1, -1, -1)]
    sums = {view.hour: total([view], connector.budget) for view in views}
    hours = [sums.get(f"{day}-{number:02}") for day in days for number in range(24)]
    context = {
        "connector": connector,
        "events": chart([each.counts.sent if each else 0 for each in hours]),
        "bytes": chart([each.size if each else 0 for each in hours]),
        "lag": chart([each.lag[1] if each and each.lag else 0.0 for each in hours]),
        **period(last),
        "days": {
            day: total((view for view in views if view.hour[:10] == day), connector.budget, among=views) for day in days
        },
        "total": total(views, connector.budget),
    }
    return show(request, "trends", context)
