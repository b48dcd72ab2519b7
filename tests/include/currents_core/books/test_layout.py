from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.books.layout import (
    EarlierKind,
    Layout,
    Member,
    PageKind,
    claim_of_page,
    is_head,
    is_oversized,
    member_of,
    page_name,
    run_name,
    type_name,
)
from currents_core.file_key import Slice, SourceFile

HOUR = "2026-11-23-08"
OPEN = "users.messages.email.Open"
FILE = SourceFile("braze", f"in/event_type={OPEN}/date={HOUR}/dataexport+0+1.avro", "e", 1)
HOURS = Layout("export/demo/")
KINDS: list[PageKind] = ["ids", "letters", "files"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def keys(layout: Layout) -> list[str]:
    pages = [layout.page(FILE.slice, page_name(7, "0af", number, kind)) for number, kind in enumerate(KINDS)]
    return [layout.head(FILE.slice), layout.head(Slice(HOUR, None)), *pages]


def test_every_key_is_below_the_root_and_tells_its_hour() -> None:
    every = [*keys(HOURS), HOURS.plan(HOUR, "0af"), HOURS.manifest(HOUR), HOURS.oversized(FILE.slice, "0af")]
    assert len(set(every)) == 8
    assert all(key.startswith("export/demo/") and f"date={HOUR}" in key for key in every)


def test_a_key_is_in_the_folder_that_is_listed_for_it() -> None:
    assert all(key.startswith(HOURS.slices(HOUR)) for key in keys(HOURS))
    head, _, *pages = keys(HOURS)
    assert all(key.startswith(HOURS.slice(FILE.slice)) for key in (head, *pages))


def test_all_that_has_an_hour_or_a_day_is_in_one_of_its_folders() -> None:
    kinds: tuple[EarlierKind, ...] = ("ledger", "ids", "dead_letters")
    every = [
        *keys(HOURS),
        *(HOURS.plan(HOUR, "0af"), HOURS.manifest(HOUR), HOURS.oversized(FILE.slice, "0af"), HOURS.overview()),
        *(HOURS.budget, HOURS.day_index(HOUR[:10]), *(HOURS.earlier(kind) for kind in kinds)),
        *keys(HOURS.of_run("a")),
    ]
    found = {folder for folder in HOURS.folders if any(key.startswith(folder) for key in every)}
    assert found == {*HOURS.folders}
    assert all(key.startswith(tuple(HOURS.folders)) for key in every)


def test_heads_and_pages_are_told_apart_and_a_page_tells_its_claim() -> None:
    head, unnamed, *pages = keys(HOURS)
    assert [is_head(key) for key in (head, unnamed, *pages)] == [True, True, False, False, False]
    assert [claim_of_page(key) for key in pages] == [7, 7, 7]
    assert claim_of_page(head) is None
    assert claim_of_page(page_name(12_345_678, "0af", 0, "ids")) == 12_345_678


def test_an_oversized_event_is_told_from_all_else_and_has_a_key_of_its_own_in_each_slice() -> None:
    for root in (Layout(), HOURS, HOURS.of_run("a")):
        found = [root.oversized(place, "0af1" * 16) for place in (FILE.slice, Slice(HOUR, None), Slice(HOUR, "a/b"))]
        assert len({*found}) == 3
        assert all(each.startswith(root.hours("oversized", HOUR[:10])) for each in found)
        assert all(is_oversized(each) for each in found)
        assert not any(is_oversized(each) for each in [*keys(root), root.plan(HOUR, "0af"), root.manifest(HOUR)])


def test_a_page_may_be_an_object_of_an_earlier_version() -> None:
    name = f"dead_letters/date={HOUR}/{FILE.id}.jsonl.gz"
    assert HOURS.page(FILE.slice, name) == f"export/demo/{name}"
    assert claim_of_page(name) is None
    assert name.startswith(Layout().earlier("dead_letters", HOUR))
    assert HOURS.earlier_ids(FILE, "a/b") == f"export/demo/ids/date={HOUR}/event_type=a%2Fb/{FILE.id}"
    assert HOURS.earlier("ledger", HOUR).startswith(HOURS.earlier("ledger"))


def test_the_books_of_replays_share_no_key() -> None:
    roots = [HOURS, HOURS.of_run("a"), HOURS.of_run("b")]
    every = [key for root in roots for key in keys(root)]
    assert len(set(every)) == len(every)


@given(st.text())
def test_no_run_leaves_its_folder(run_id: str) -> None:
    assert "/" not in run_name(run_id)
    assert HOURS.of_run(run_id).root == f"export/demo/replays/{run_name(run_id)}/"


@given(TEXTS)
def test_no_event_type_leaves_its_folder_or_passes_the_limit_of_keys(event_type: str) -> None:
    key = Layout("r/" * 100).page(Slice(HOUR, event_type), page_name(123_456, "0123456789ab", 123_456, "letters"))
    assert key.count("/") == 100 + 3
    assert key.isascii()
    assert key.isprintable()
    assert len(key) <= 1024


@given(TEXTS)
def test_no_event_type_is_taken_for_the_files_without_one(event_type: str) -> None:
    assert HOURS.slice(Slice(HOUR, event_type)) != HOURS.slice(Slice(HOUR, None))


@pytest.mark.parametrize("event_type", [OPEN, "unnamed"])
def test_event_types_of_braze_are_named_as_they_are(event_type: str) -> None:
    assert type_name(event_type) == event_type


def test_no_two_types_are_named_alike() -> None:
    odd = ["a/b", "a%2Fb", "..", "🙂" * 100, "🙂" * 101, "x" * 128, type_name("🙂" * 100)]
    assert len({type_name(each) for each in odd}) == len(odd)


@given(st.floats(0, 2), st.floats(0, 2), st.integers(0, 10**9))
def test_a_key_tells_what_a_task_wants_and_never_less(part: float, want: float, number: int) -> None:
    key = HOURS.member(Member("0af", part, want), number)
    assert key.startswith(HOURS.budget)
    found = member_of(key)
    assert found
    assert found.token == "0af"
    assert part <= found.part <= part + 1e-6
    assert want <= found.want <= want + 1e-6


def test_two_keys_of_a_task_differ_and_other_keys_are_of_no_task() -> None:
    member = Member("0af", 0.25, 1.0)
    assert HOURS.member(member, 1) != HOURS.member(member, 2)
    assert member_of(HOURS.head(FILE.slice)) is None
    assert member_of(HOURS.budget) is None
