"""`airflow currents find`: where an event is, and what became of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from currents_airflow.cli.asked import chosen, printed, tell, told_faults
from currents_core.errors import SetupError, shown
from currents_core.hour import is_hour
from currents_core.setup.settings import Connector

if TYPE_CHECKING:
    from currents_airflow.page.books import Books
    from currents_core.books.find_id import Place
    from currents_core.books.overview import HourView
    from currents_core.books.run_record import RunRecord

DAYS = 31
# Days that are searched at a time. Each waits for a few requests, one after the other.
_AT_A_TIME = 8


def find(args: argparse.Namespace) -> None:
    """Prints it. Exits with 1 where no connector's books have the event."""
    with told_faults():
        dates = days(args.day, datetime.now(UTC))
        if args.source and not args.day:
            raise SetupError("--source looks into the files of one day; say which with --day")
        if not _is_text(args.id):
            raise SetupError("the id is no text in UTF-8")
        found = [_report(connector, args, dates) for connector in chosen(args.connector)]
    tell(args, found, text)
    if not any(each["places"] or (each["source"] and each["source"]["rows"]) for each in found):
        sys.exit(1)


def _is_text(word: str) -> bool:
    """Whether a word of the command line is text: what is none is handed on in halves of characters."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def days(day: str | None, now: datetime) -> list[str]:
    """The dates to search, the newest first: one, or the last 31. Raises SetupError for a day that is none."""
    if day is None:
        return [f"{now - timedelta(days=back):%Y-%m-%d}" for back in range(DAYS)]
    if is_hour(f"{day}-00"):
        return [day]
    raise SetupError(f"{day!r} is no day; write YYYY-MM-DD, such as 2026-11-23")


def _report(connector: Connector, args: argparse.Namespace, dates: list[str]) -> dict[str, Any]:
    """What the books of a connector say of an event, and the files of the source where they are asked for."""
    from currents_airflow.page.books import Books

    books = Books(connector)
    views = {view.hour: view for view in books.views(f"{dates[-1]}-00", f"{dates[0]}-23")}
    found = list(_places(books, args.id, dates, views.values()))
    delivered = [place for place, replay in found if not replay]
    return {
        "connector": connector.name,
        "id": args.id,
        "first": dates[-1],
        "last": dates[0],
        "places": [_told(place, replay, views.get(place.slice.hour)) for place, replay in found],
        "source": _look(connector, args.id, args.day, args.event_type, delivered) if args.source else None,
    }


def _look(*asked: Any) -> dict[str, Any]:
    from currents_airflow.cli.look import look

    return look(*asked)


def _places(
    books: Books, event_id: str, dates: list[str], views: Iterable[HourView]
) -> Iterator[tuple[Place, RunRecord | None]]:
    """The places of an event, each with the replay in whose own books it is; None for the connector's books."""
    from currents_core.books.find_id import IdSearch
    from currents_core.books.ledger import Ledger

    def search(date: str, replay: RunRecord | None) -> list[Place]:
        layout = books.layout.of_run(replay.run) if replay else books.layout
        return IdSearch(books.store, layout, Ledger(books.store, layout), event_id).on(date)

    replays = {(view.hour[:10], run.run): run for view in views for run in view.replays}
    jobs = [*((date, None) for date in dates), *((date, run) for (date, _), run in replays.items())]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for places, (_, replay) in zip(pool.map(search, *zip(*jobs, strict=True)), jobs, strict=True):
            yield from ((place, replay) for place in places)


def _told(place: Place, replay: RunRecord | None, hour: HourView | None) -> dict[str, Any]:
    run = replay or (hour.delivered_by(place.slice.event_type or "") if hour else None)
    return {
        "fate": f"{place.fate} in a replay" if replay else place.fate,
        "event_type": place.slice.event_type,
        "hour": place.slice.hour,
        "file": place.file.uri,
        "row": place.row,
        "code": place.code,
        "reason": place.reason,
        "run": run.run if run else "",
        "kind": run.kind if run else "",
        "at": run.at if run else "",
    }


def text(found: dict[str, Any]) -> str:
    """What was found, for people."""
    where = found["first"] if found["first"] == found["last"] else f"{found['first']} to {found['last']}"
    name, source = found["connector"], found["source"]
    lines = []
    for each in found["places"]:
        reason = f", {each['code']}: {printed(each['reason'])}" if each["code"] else ""
        run = f"; by {each['run']}, {each['at']}" if each["run"] else ""
        lines.append(f"{name}: {each['fate']}{reason}; {_place(each)}{run}")
    if not lines:
        lines.append(f"{name}: neither accepted nor a dead letter in the hours of {where}")
    if source:
        for each in source["rows"]:
            reason = f", {printed(each['reason'])}" if each["reason"] else ""
            lines.append(f"{name}: {each['fate']}{reason}, under today's settings; {_place(each)}")
        rest = "" if source["files"] == source["of"] else ", as time allowed; name an --event-type to get further"
        what = "no other row with this id" if found["places"] else "no row with this id"
        told = "" if source["rows"] else f": {what}"
        lines.append(
            f"{name}: looked into {source['files']:,} of {source['of']:,} files of {source['date']}{rest}{told}"
        )
        lines += [f"{name}: {fault}" for fault in source["faults"]]
    return "\n".join(lines)


def _place(each: dict[str, Any]) -> str:
    return f"{shown(each['event_type'] or 'unnamed')} of {each['hour']}, {printed(each['file'])} row {each['row']}"
