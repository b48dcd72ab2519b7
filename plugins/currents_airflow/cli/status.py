"""`airflow currents status`: which hours are delivered, and which are not."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from currents_airflow.cli.asked import chosen, tell, told_faults
from currents_airflow.page.books import Books
from currents_airflow.page.render import dollars, number, span
from currents_airflow.page.runs import hours_under_way, live_runs
from currents_core.counted import counted
from currents_core.setup.settings import Connector
from currents_core.showing.calendar import newest_hour, stretches
from currents_core.showing.letter_codes import letters_of
from currents_core.showing.trends import total


def status(args: argparse.Namespace) -> None:
    """Prints it. Exits with 1 where hours need somebody's attention, so that a check can call it."""
    with told_faults():
        found = [report(connector, args.days, datetime.now(UTC)) for connector in chosen(args.connector)]
    tell(args, found, text)
    if any(each["attention"] for each in found):
        raise SystemExit(1)


def report(connector: Connector, days: int, now: datetime) -> dict[str, Any]:
    """The status of a connector: the hours of so many days, up to the last one that is over."""
    last = newest_hour(now)
    first = newest_hour(now - timedelta(days=days) + timedelta(hours=1))
    looks = Books(connector).looks(first, last, hours_under_way(live_runs(connector)))
    cells = looks.cells(last, days * 24)
    views = [cell.view for cell in cells if cell.view]
    whole, letters = total(views, connector.budget), letters_of(views)
    return {
        "connector": connector.name,
        "first": cells[0].hour,
        "last": last,
        "hours": {state: sum(cell.state == state for cell in cells) for state in {cell.state for cell in cells}},
        "attention": [asdict(each) for each in stretches(cells, ("failed", "late", "open"))],
        "totals": asdict(whole.counts),
        "lag_seconds": list(whole.lag) if whole.lag else None,
        "dead_letters": [
            {"code": each.code, "event_type": each.event_type, "count": each.count, "hours": len(each.hours)}
            for each in letters.groups
        ],
        "dollars": {"classic": whole.classic_dollars, "custom": whole.custom_dollars},
        "newest_with_files": max((view.hour for view in views if view.is_heard), default=None),
    }


def text(found: dict[str, Any]) -> str:
    """A status for people."""
    totals, lag = found["totals"], found["lag_seconds"]
    lines = [
        f"{found['connector']}: {found['first']} to {found['last']} (UTC)",
        "  hours: " + ", ".join(f"{count} {state}" for state, count in sorted(found["hours"].items())),
        f"  sent {number(totals['sent'])} of {number(totals['read'])} rows; {number(totals['duplicate'])} duplicate, "
        f"{number(totals['filtered'])} filtered, {number(totals['dead_lettered'])} dead-lettered",
    ]
    if lag:
        lines.append(f"  lag: {span(lag[0])} for half of the rows, {span(lag[1])} for 95 %")
    cost = found["dollars"]
    lines.append(
        f"  cost: about {dollars(cost['classic'])} on a classic bus, {dollars(cost['custom'])} on a custom bus"
    )
    lines.append(f"  from Braze: {found['newest_with_files'] or 'nothing'}")
    for each in found["attention"]:
        hours = each["first"] if each["count"] == 1 else f"{each['first']} to {each['last']}, {each['count']} hours"
        lines.append(f"  {each['state']}: {hours}")
    for each in found["dead_letters"]:
        kind = each["event_type"] or "unnamed"
        lines.append(
            f"  dead letters: {number(each['count'])} x {each['code']}, {kind}, in {counted(each['hours'], 'hour')}"
        )
    return "\n".join(lines)
