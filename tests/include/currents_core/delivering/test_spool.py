from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from currents_core.books.dead_letter import DeadLetter
from currents_core.delivering import spool as spool_module
from currents_core.delivering.spool import Spool
from currents_core.entry import Entry

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def letter(row: int, event_type: str = "a") -> DeadLetter:
    entry = Entry(row, "source", event_type, "{}", 1, "arn")
    return DeadLetter(row, event_type, "code", "reason", entry, 2, NOW, {"price": Decimal("1.10"), "at": NOW, "n": row})


def test_letters_come_back_as_they_were_in_the_order_of_their_rows() -> None:
    spool = Spool()
    for row in (3, 1, 2):
        spool.add(letter(row, "a" if row > 1 else "b"))
    assert list(spool) == [letter(1, "b"), letter(2), letter(3)]
    assert spool.event_types == {"a": 2, "b": 1}
    assert len(spool) == 3
    spool.add(letter(9))
    assert [each.row for each in spool] == [1, 2, 3, 9]
    spool.close()


def test_letters_are_found_by_their_rows() -> None:
    spool = Spool()
    for row in (30, 10, 20):
        spool.add(letter(row))
    of_row = spool.by_row()
    assert [of_row(row) for row in (20, 30, 10, 5, 15, 35)] == [letter(20), letter(30), letter(10), None, None, None]
    spool.close()


def test_an_empty_spool_is_false_and_has_nothing() -> None:
    spool = Spool()
    assert not spool
    assert list(spool) == []
    assert spool.by_row()(0) is None
    spool.close()


def test_many_letters_lie_on_disk_and_leave_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "_IN_MEMORY", 1_000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = Spool()
    for row in range(500):
        spool.add(letter(row))
    assert [each.row for each in spool] == list(range(500))
    spool.close()
    assert list(tmp_path.iterdir()) == []
