from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import orjson
import pytest

from currents_aws.memory import MemoryObjects
from currents_core.books import pages as pages_module
from currents_core.books.account import Account, Counts
from currents_core.books.head import FileState, Head
from currents_core.books.id_pages import page_of, placed
from currents_core.books.layout import Layout, PageKind, page_name
from currents_core.books.pages import PageMissingError, Pages, lines_of, with_paged_states, with_small_states
from currents_core.books.row_set import RowSet
from currents_core.file_key import Slice, SourceFile

HOUR = "2026-11-23-08"
PLACE = Slice(HOUR, "a")
LAYOUT = Layout("export/demo/")


def pages(store: MemoryObjects) -> Pages:
    return Pages(store, LAYOUT, PLACE)


def state(name: str, number: int, fate: str = "done") -> FileState:
    file = SourceFile("b", f"event_type=a/date={HOUR}/{name}", "e", 1)
    account = Account({"a": Counts(read=1, sent=1)}) if fate == "done" else None
    return FileState(file, number, fate, RowSet([(0, 1)]), account)  # type: ignore[arg-type]


def head(*states: FileState, **more: Any) -> Head:
    return replace(Head(PLACE).with_states(states), **more)


def new_page(kind: PageKind) -> str:
    return page_name(1, "t", 0, kind)


def test_ids_and_lines_are_read_back() -> None:
    store = MemoryObjects("state")
    pages(store).write("1-a-0.letters", lines_of([{"row": 1}, {"row": 2}]))
    assert [orjson.loads(line) for line in pages(store).lines("1-a-0.letters")] == [{"row": 1}, {"row": 2}]
    pages(store).upload("1-a-1.ids", BytesIO(page_of(placed(np.array([[5, 6]], np.uint64), 0, [0]))))
    [found] = pages(store).ids(["1-a-1.ids"])
    assert found.contains(np.array([[5, 6]], np.uint64)).tolist() == [True]
    assert [key.startswith(LAYOUT.slice(PLACE)) for key in store.contents] == [True, True]


def test_the_same_rows_give_the_same_page() -> None:
    assert lines_of([{"row": 1}]) == lines_of([{"row": 1}])


def test_a_page_that_is_missing_is_a_fault_and_never_empty() -> None:
    for read in (pages(MemoryObjects("state")).ids, lambda names: list(pages(MemoryObjects("state")).lines(names[0]))):
        with pytest.raises(PageMissingError, match=r"s3://state/export/.*1-a-0.ids: this part of the state is missing"):
            read(["1-a-0.ids"])


def test_states_in_pages_are_part_of_the_head_and_those_in_the_head_go_before_them() -> None:
    store = MemoryObjects("state")
    first, second = state("1", 0), state("2", 1)
    whole = head(first, second)
    paged = with_paged_states(whole, [first, second], pages(store), new_page)
    assert paged.file_pages == (new_page("files"),)
    assert paged.paged == whole.files.keys()
    assert paged.inline() == []
    stored = head(replace(second, reason="newer"), file_pages=paged.file_pages)
    found = pages(store).with_files(stored)
    assert found.files.keys() == whole.files.keys()
    assert found.files[second.file.id].reason == "newer"
    assert found.paged == {first.file.id}


def test_few_states_stay_in_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryObjects("state")
    whole = head(state("1", 0), state("2", 1, "open"), state("3", 2, "failed"))
    assert with_small_states(whole, pages(store), new_page) is whole
    monkeypatch.setattr(pages_module, "INLINE_BYTES", 500)
    small = with_small_states(whole, pages(store), new_page)
    assert [each.fate for each in small.inline()] == ["open"]
    assert len(pages(store).with_files(replace(small, files={})).files) == 2
    assert with_small_states(head(state("2", 1, "open")), pages(store), new_page).file_pages == ()


def test_only_pages_of_earlier_claims_that_the_head_does_not_name_are_swept() -> None:
    store = MemoryObjects("state")
    names = [page_name(claim, token, 0, "ids") for claim, token in [(1, "a"), (2, "b"), (2, "c"), (3, "d"), (4, "e")]]
    for name in names:
        pages(store).write(name, b"")
    store.write(LAYOUT.head(PLACE), b"head")
    store.write(LAYOUT.page(PLACE, "somebody-elses"), b"")
    store.write(f"{LAYOUT.slice(Slice(HOUR, 'a2'))}{names[0]}", b"")
    before = set(store.contents)
    pages(store).sweep(head(claim=3, id_pages=(names[1],)))
    assert before - set(store.contents) == {LAYOUT.page(PLACE, name) for name in (names[0], names[2])}


def test_what_is_removed_is_gone() -> None:
    store = MemoryObjects("state")
    pages(store).write("1-a-0.ids", b"")
    pages(store).remove(["1-a-0.ids", "1-a-1.ids"])
    assert store.contents == {}
