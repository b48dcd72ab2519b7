from __future__ import annotations

import pytest

from currents_airflow.page.grid import by_type
from currents_core.books.account import Counts
from currents_core.books.overview import HourView, TypeView
from currents_core.showing.calendar import Cell, State

DAY = "2026-11-23"


def view(hour: str, *names: str, written: str = "2026-11-24T00:00:00+00:00") -> HourView:
    sent = TypeView(delivered=1, counts=Counts(read=1, sent=1))
    return HourView(hour, written=written, complete=True, types=dict.fromkeys(names, sent))


@pytest.mark.parametrize(
    ("cell", "state"),
    [
        (Cell(f"{DAY}-06", "complete", view(f"{DAY}-06", "b")), "empty"),
        (Cell(f"{DAY}-06", "late"), "late"),
        (Cell(f"{DAY}-06", "none"), "none"),
        (Cell(f"{DAY}-06", "waiting", view(f"{DAY}-06", "b", written=f"{DAY}T06:10:00+00:00")), "waiting"),
    ],
)
def test_an_hour_without_an_event_type_is_not_one_that_nobody_exported(cell: Cell, state: State) -> None:
    first = Cell(f"{DAY}-05", "complete", view(f"{DAY}-05", "a"))
    row = next(each for each in by_type([first, cell], of_day=True) if each.name == "a")
    assert [each.state for each in row.cells] == ["complete", state]


def test_what_is_not_due_yet_hides_nothing_of_its_day() -> None:
    cells = [Cell(f"{DAY}-05", "complete", view(f"{DAY}-05", "a")), Cell(f"{DAY}-06", "waiting")]
    [row] = by_type(cells, of_day=False)
    assert [each.state for each in row.cells] == ["complete"]
