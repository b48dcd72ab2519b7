from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from currents_core.books.account import DEDUPLICATED, Account, Counts
from currents_core.books.dead_letter import DeadLetter
from currents_core.books.head import FileState
from currents_core.books.id_pages import Fingerprints, fingerprints
from currents_core.books.row_set import RowSet
from currents_core.delivering.open_file import OpenFile
from currents_core.errors import FileError
from currents_core.file_key import SourceFile
from tests.tools.house import HOUR, OPEN

FILE = SourceFile("braze", f"in/event_type={OPEN}/date={HOUR}/a.parquet", "e", 1)
LETTER = DeadLetter(2, OPEN, "MalformedDetail", "no")


def opened(read: int = 0) -> OpenFile:
    """A file of which so many rows were read and wait to be sent."""
    found = OpenFile(FileState(FILE, 0), FILE.arn("aws"), account=Account({OPEN: Counts(read=read, sent=read)}))
    found.expect(read)
    return found


def waits(one: OpenFile) -> bool:
    return one.waits


def prints(*ids: str) -> Fingerprints:
    return fingerprints(pa.array(ids, pa.string()), OPEN)


def test_a_file_is_through_as_soon_as_it_is_read_and_every_entry_is_answered() -> None:
    one = opened(3)
    assert not one.accept([0, 1], prints("x", "y"))
    assert not one.end()
    assert one.refuse(LETTER)
    one.close()
    other = opened(1)
    assert not other.accept([0], prints("x")), "more rows may come"
    assert other.end()


def test_what_was_refused_is_a_dead_letter_and_was_not_sent() -> None:
    one = opened(3)
    one.accept([0, 1], prints("x", "y"), 1)
    one.refuse(LETTER)
    one.end()
    outcome = one.outcome
    assert outcome.totals == Counts(read=3, sent=2, dead_lettered=1)
    assert outcome.notes == Counter({DEDUPLICATED: 1})
    assert outcome.totals.balanced
    one.close()


@pytest.mark.parametrize("rows", [[4, 5, 6], [6, 4, 5], [1, 3], [7]])
def test_rows_are_accepted_whatever_their_order(rows: list[int]) -> None:
    one = opened(len(rows))
    one.accept(rows, prints(*map(str, rows)))
    state, new = one.news()
    assert state.rows.mask(np.arange(9)).nonzero()[0].tolist() == sorted(rows)
    assert len(one.ids(new)) == len(rows)


def test_a_file_waits_until_the_head_has_what_was_accepted() -> None:
    one = opened(2)
    assert waits(one)
    one.accept([0], prints("x"))
    state, first = one.news()
    one.accept([1], prints("y"))
    one.confirmed(state, first)
    assert waits(one), "the head does not have the second row"
    assert one.before.rows.ranges == [(0, 1)]
    state, second = one.news()
    assert [rows for rows, _ in second] == [[1]]
    one.confirmed(state, second)
    assert not waits(one)
    assert one.before.rows.ranges == [(0, 2)]


def test_rows_of_an_earlier_version_are_accepted_without_being_waited_for() -> None:
    one = opened()
    one.was_settled([], prints())
    assert not waits(one)
    one.was_settled([3, 4], prints("x", "y"))
    assert waits(one)
    state, _ = one.news()
    assert state.rows.ranges == [(3, 5)]
    assert one.end()


def test_a_file_that_could_not_be_read_to_its_end_fails_and_keeps_what_went() -> None:
    one = opened(1)
    one.accept([0], prints("x"))
    one.end(FileError("it is damaged"))
    state, accepted = one.ended(["a page"])
    assert (state.fate, state.letters, state.rows.ranges) == ("failed", ("a page",), [(0, 1)])
    assert "it is damaged" in state.reason
    assert len(accepted) == 1


def test_a_redriven_file_moves_what_went_from_the_dead_letters_to_the_sent_rows() -> None:
    account = Account({OPEN: Counts(read=5, sent=2, dead_lettered=3)})
    before = FileState(FILE, 0, "done", RowSet([(0, 2)]), account)
    one = OpenFile(before, "arn", {(OPEN, "live"): RowSet([(2, 5)])})
    one.account.of(OPEN).read += 3
    one.account.of(OPEN).sent += 3
    one.expect(3)
    one.accept([2, 3], prints("a", "b"))
    state, new = one.news()
    assert state.account
    assert state.account.totals == Counts(read=5, sent=4, dead_lettered=1)
    one.confirmed(state, new)
    one.refuse(DeadLetter(4, OPEN, "MalformedDetail", "no"))
    one.end()
    state, _ = one.ended(["a page"])
    assert state.account
    assert state.account.totals == Counts(read=5, sent=4, dead_lettered=1)
    assert (state.fate, state.letters) == ("done", ("a page",))
    one.close()


def test_a_file_tells_how_much_of_it_is_settled_by_its_rows() -> None:
    one = opened(3)
    assert one.bytes_settled == 0, "nobody knows how many rows it has"
    one.rows = 6
    assert one.bytes_settled == 0, "a batch is read once all of its entries were put"
    one.rows_read = 3
    assert one.bytes_settled == 0
    one.accept([0, 1], prints("x", "y"))
    assert one.bytes_settled == pytest.approx(2 / 6)
    one.accept([2], prints("z"))
    assert one.bytes_settled == pytest.approx(1 / 2)
