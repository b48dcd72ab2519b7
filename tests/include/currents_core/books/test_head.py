from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.books.account import Account, Counts
from currents_core.books.format import FORMAT
from currents_core.books.head import FileState, Head, parse_head
from currents_core.books.id_pages import no_ids
from currents_core.books.row_set import RowSet
from currents_core.errors import CurrentsError, SetupError
from currents_core.file_key import Slice, SourceFile

HOUR = "2026-11-23-08"
PLACE = Slice(HOUR, "a")
NO_ROWS = RowSet()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.integers(0, 2**40)
ROWS = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)).map(lambda pair: (min(pair), max(pair)))).map(RowSet)
COUNTS = st.builds(Counts, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
ACCOUNTS = st.builds(
    Account,
    st.dictionaries(TEXTS, COUNTS, max_size=3),
    st.dictionaries(TEXTS, NUMBERS, max_size=3).map(Counter),
    st.dictionaries(TEXTS, st.sets(TEXTS, min_size=1, max_size=3), max_size=3),
    st.dictionaries(TEXTS, NUMBERS, max_size=3).map(Counter),
)
FILES = st.builds(SourceFile, TEXTS, TEXTS, TEXTS, NUMBERS)
NAMES = st.lists(TEXTS, max_size=3).map(tuple)
STATES = st.builds(
    FileState,
    FILES,
    NUMBERS,
    st.sampled_from(["open", "done", "failed", "gone"]),
    ROWS,
    st.none() | ACCOUNTS,
    TEXTS,
    NAMES,
    ROWS,
)
IDS = st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 3), max_size=5).map(
    lambda rows: np.array(rows, np.uint64).reshape(-1, 3)
)
HEADS = st.builds(
    Head,
    st.builds(Slice, st.just(HOUR), st.none() | TEXTS),
    NUMBERS,
    NUMBERS,
    TEXTS,
    TEXTS,
    st.none() | TEXTS,
    st.lists(STATES, max_size=4).map(lambda states: {state.file.id: state for state in states}),
    st.just(frozenset[str]()),
    NAMES,
    NAMES,
    IDS,
)


def told(state: FileState) -> tuple[object, ...]:
    """A state as tests compare it: sets of rows have no equality of their own."""
    return replace(state, rows=NO_ROWS, settled_before=NO_ROWS), state.rows.ranges, state.settled_before.ranges


@given(HEADS)
def test_what_is_read_back_is_what_was_written(head: Head) -> None:
    found = parse_head(head.as_bytes(), "s3://state/head.json")
    assert {file_id: told(state) for file_id, state in found.files.items()} == {
        file_id: told(state) for file_id, state in head.files.items()
    }
    assert found.ids.tolist() == head.ids.tolist()
    assert replace(found, files={}, ids=no_ids()).as_bytes() == replace(head, files={}, ids=no_ids()).as_bytes()
    assert (found.slice, found.owner, found.pages) == (head.slice, head.owner, head.pages)


@given(HEADS, st.data())
def test_states_that_lie_in_pages_are_not_in_it(head: Head, data: st.DataObject) -> None:
    paged = data.draw(st.sets(st.sampled_from(sorted(head.files)))) if head.files else set[str]()
    found = parse_head(replace(head, paged=frozenset(paged)).as_bytes(), "")
    assert found.files.keys() == head.files.keys() - paged


def file(name: str = "1") -> SourceFile:
    return SourceFile("b", f"event_type=a/date={HOUR}/{name}", "e", 1)


def test_a_state_that_changes_lies_in_no_page_any_more() -> None:
    states = [FileState(file("1"), 0), FileState(file("2"), 4)]
    head = Head(PLACE, paged=frozenset(state.file.id for state in states)).with_states(states)
    assert head.paged == frozenset()
    head = replace(head, paged=frozenset(head.files)).with_states([replace(states[0], fate="failed")])
    assert head.paged == {states[1].file.id}
    assert [state.fate for state in head.inline()] == ["failed"]


def test_every_file_has_its_own_number() -> None:
    assert Head(PLACE).next_number == 0
    assert Head(PLACE).with_states([FileState(file("1"), 0), FileState(file("2"), 4)]).next_number == 5


def test_it_names_all_of_its_pages() -> None:
    states = [FileState(file("1"), 0, letters=("a", "b")), FileState(file("2"), 1, letters=("b",))]
    head = Head(PLACE, file_pages=("c",), id_pages=("d", "e")).with_states(states)
    assert head.pages == {"a", "b", "c", "d", "e"}


def test_a_newer_format_is_refused() -> None:
    body = json.dumps({"format": FORMAT + 1, "whatever": "comes"}).encode()
    with pytest.raises(SetupError, match=f"^s3://state/k: this state has format {FORMAT + 1}, and .* upgrade this"):
        parse_head(body, "s3://state/k")


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"{}", b"1", b'{"format": "2"}', b'{"format": 2}', Head(PLACE).as_bytes()[:-9]]
)
def test_a_damaged_head_is_named(body: bytes) -> None:
    with pytest.raises(SetupError, match=r"^s3://state/k: this state is damaged \(\w+\); restore an earlier version"):
        parse_head(body, "s3://state/k")


def state(counts: Counts | None, *, sent: int, fate: str = "done", before: int = 0) -> FileState:
    account = Account({"a": counts}) if counts else None
    return FileState(file(), 0, fate, RowSet([(0, sent)]), account, settled_before=RowSet([(0, before)]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "true",
    [
        state(Counts(read=3, sent=2, filtered=1), sent=2),
        state(Counts(read=3, sent=2, dead_lettered=1), sent=0, before=3),
        state(Counts(read=2, sent=2), sent=2, fate="gone"),
        state(None, sent=1, fate="open"),
        state(None, sent=1, fate="failed"),
    ],
)
def test_books_that_are_true_pass(true: FileState) -> None:
    true.require_true()


@pytest.mark.parametrize(
    "false",
    [
        state(None, sent=0),
        state(Counts(read=3, sent=2), sent=2),
        state(Counts(read=2, sent=2), sent=1),
        state(Counts(read=1, sent=1), sent=2, fate="gone"),
        state(Counts(read=2, sent=3, filtered=-1), sent=3),
        state(Counts(read=2, sent=1), sent=1, before=2),
    ],
)
def test_books_that_are_not_true_are_refused(false: FileState) -> None:
    with pytest.raises(CurrentsError, match="the books don't balance"):
        false.require_true()
