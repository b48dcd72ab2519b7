"""`airflow currents letters`: a few dead letters of an hour, without personal data."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from currents_airflow.cli.asked import chosen, printed, tell, told_faults
from currents_core.errors import shown
from currents_core.hour import parse_hour
from currents_core.setup.settings import Connector

if TYPE_CHECKING:
    from currents_core.books.head import Head
    from currents_core.books.pages import Pages

_SAMPLES = 3


def letters(args: argparse.Namespace) -> None:
    """Prints them."""
    with told_faults():
        parse_hour(args.hour)
        found = [report(connector, args.hour, args.code, args.event_type) for connector in chosen(args.connector)]
    tell(args, found, text)


def report(connector: Connector, hour: str, code: str | None, event_type: str | None) -> dict[str, Any]:
    """The first dead letters of an hour with a code, of an event type; of all where none is given."""
    from currents_airflow.page.books import Books
    from currents_core.books.ledger import Ledger

    books = Books(connector)
    ledger = Ledger(books.store, books.layout)

    def of_slice(head: Head) -> list[dict[str, Any]]:
        return list(islice(_letters(ledger.pages(head.slice), head, code, event_type), _SAMPLES))

    some = islice((each for head in ledger.heads(hour) for each in ledger.look(head, of_slice)), _SAMPLES)
    return {"connector": connector.name, "hour": hour, "letters": list(some)}


def _letters(pages: Pages, head: Head, code: str | None, event_type: str | None) -> Iterator[dict[str, Any]]:
    from currents_core.books.dead_letter import letters_of
    from currents_core.shaping.masked import masked_record

    states = [state for state in head.files.values() if state.letters]
    for state, letter in letters_of(pages, states):
        if code in (None, letter["code"]) and event_type in (None, letter["event_type"]):
            yield {
                "event_type": letter["event_type"],
                "code": letter["code"],
                "reason": letter["reason"],
                "attempts": letter["attempts"],
                "first_at": letter["first_at"],
                "last_at": letter["last_at"],
                "file": state.file.uri,
                "row": letter["origin"]["row"],
                "record": masked_record(letter["event_type"], letter["record"] or {}),
            }


def text(found: dict[str, Any]) -> str:
    """Dead letters, for people."""
    if not found["letters"]:
        return f"{found['connector']} {found['hour']}: no such dead letter"
    return "\n".join(
        f"{found['connector']} {found['hour']}: {each['code']}: {printed(each['reason'])}; "
        f"{shown(each['event_type'])}, {printed(each['file'])} row {each['row']}, {each['attempts']} attempts\n"
        f"  {json.dumps(each['record'])}"
        for each in found["letters"]
    )
