"""`airflow currents source`: hints that something is missing in the source on a day."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from currents_airflow.cli.asked import chosen, tell, told_faults
from currents_airflow.cli.find import days
from currents_core.counted import counted
from currents_core.errors import shown
from currents_core.setup.settings import Connector


def source(args: argparse.Namespace) -> None:
    """Prints them. They are hints, and never end with 1."""
    with told_faults():
        date = args.day or days(None, datetime.now(UTC))[0]
        [date] = days(date, datetime.now(UTC))
        found = [report(connector, date) for connector in chosen(args.connector)]
    tell(args, found, text)


def report(connector: Connector, date: str) -> dict[str, Any]:
    """The gaps between the files of a day whose rows the books know."""
    from currents_airflow.page.books import Books
    from currents_core.books.ledger import Ledger
    from currents_core.showing.gaps import gaps

    books = Books(connector)
    ledger = Ledger(books.store, books.layout)
    rows = {
        state.file: state.account.totals.read
        for hour in range(24)
        for head in ledger.heads(f"{date}-{hour:02}")
        for state in head.files.values()
        if state.fate == "done" and state.account
    }
    found = gaps(rows)
    return {"connector": connector.name, "date": date, "files": len(rows), "gaps": [asdict(gap) for gap in found]}


def text(found: dict[str, Any]) -> str:
    """The hints, for people."""
    lines = [f"{found['connector']} {found['date']}: {counted(found['files'], 'delivered file')} looked at"]
    lines += [
        f"  {shown(gap['event_type'] or 'unnamed')}: {gap['missing']:,} numbers are skipped in partition "
        f"{gap['partition']}, between {shown(gap['after'])} and {shown(gap['before'])}"
        for gap in found["gaps"]
    ]
    if not found["gaps"]:
        lines.append("  no number is skipped")
    return "\n".join(lines)
