"""The hours of a month as a grid: of all event types together, or of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from currents_core.books.account import Counts
from currents_core.books.overview import TypeView
from currents_core.showing.calendar import Cell, State, type_state, worst

DAYS = 31
_FIRST = date(2011, 1, 1)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a grid: what it is of, its cells, and the rows of data in all of them."""

    name: str
    cells: Sequence[Square]
    counts: Counts


@dataclass(frozen=True, slots=True)
class Square:
    """A cell of a grid: its hour or date, its state, what was sent, and whether it was sent again."""

    name: str
    state: State
    sent: int = 0
    is_replayed: bool = False


def bounds(until: date) -> tuple[str, str]:
    """The first and the last hour of the grid that ends with a day."""
    return f"{until - timedelta(days=DAYS - 1):%Y-%m-%d}-00", f"{until:%Y-%m-%d}-23"


def period(last: date) -> dict[str, date]:
    """The last days of a month that is shown, of the one before, and of the one after."""
    return {"last": last, "before": last - timedelta(days=DAYS), "after": last + timedelta(days=DAYS)}


def parsed_day(text: str | None, now: datetime) -> date:
    """The day that a query names, or today: what is no day, or lies ahead, is today."""
    today = now.astimezone(UTC).date()
    try:
        # Dates begin with the first year that Braze could have written.
        return min(max(date.fromisoformat(text), _FIRST), today) if text else today
    except ValueError:
        return today


def by_day(cells: Iterable[Cell]) -> list[Row]:
    """A row for each day, the newest first, with a square for each hour."""
    days: dict[str, list[Cell]] = {}
    for cell in cells:
        days.setdefault(cell.hour[:10], []).append(cell)
    return [
        Row(
            day,
            [Square(each.hour, each.state, _sent(each), each.is_replayed) for each in some],
            sum((each.view.counts for each in some if each.view), Counts()),
        )
        for day, some in sorted(days.items(), reverse=True)
    ]


def by_type(cells: Iterable[Cell], *, of_day: bool) -> list[Row]:
    """A row for each event type, the largest first, with a square for each hour of a day, or for each day."""
    columns: dict[str, list[Cell]] = {}
    for cell in cells:
        columns.setdefault(cell.hour if of_day else cell.hour[:10], []).append(cell)
    names = {name for some in columns.values() for cell in some if cell.view for name in cell.view.types}
    rows = [
        Row(
            name,
            [_of_type(name, column, some) for column, some in columns.items()],
            sum((_view(name, cell).counts for some in columns.values() for cell in some), Counts()),
        )
        for name in names
    ]
    return sorted(rows, key=lambda row: (-row.counts.read, row.name))


def _of_type(name: str, column: str, cells: Iterable[Cell]) -> Square:
    some = list(cells)
    states = {_state_of_type(name, cell) for cell in some}
    # What is not due yet says nothing of the hours before.
    return Square(column, worst(states - {"waiting"} or states), sum(_view(name, cell).counts.sent for cell in some))


def _state_of_type(name: str, cell: Cell) -> State:
    if cell.view and name in cell.view.types:
        return type_state(cell.view.types[name])
    return "empty" if cell.view and cell.view.was_over else cell.state


def _view(name: str, cell: Cell) -> TypeView:
    return cell.view.types.get(name, TypeView()) if cell.view else TypeView()


def _sent(cell: Cell) -> int:
    return cell.view.counts.sent if cell.view else 0
