from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.books.layout import Layout, file_id_of, run_name, type_name
from currents_core.file_key import SourceFile

HOUR = "2026-11-23-08"
FILE = SourceFile("braze", f"in/event_type=users.messages.email.Open/date={HOUR}/dataexport+0+1.avro", "e", 1)
HOURS = Layout("export/demo/")


def keys(layout: Layout) -> list[str]:
    return [
        layout.record(HOUR, "leases", FILE.id),
        layout.record(HOUR, "done", FILE.id),
        layout.record(HOUR, "failed", FILE.id),
        layout.ids_of(FILE, "users.messages.email.Open"),
        layout.letters_of(FILE),
    ]


def test_every_key_is_below_the_root_and_tells_its_hour() -> None:
    every = [*keys(HOURS), HOURS.plan(HOUR, "0af"), HOURS.manifest(HOUR)]
    assert len(set(every)) == 7
    assert all(key.startswith("export/demo/") and f"date={HOUR}" in key for key in every)


def test_a_key_is_in_the_folder_that_is_listed_for_it() -> None:
    assert HOURS.record(HOUR, "done", FILE.id).startswith(HOURS.records(HOUR, "done"))
    assert HOURS.ids_of(FILE, "a").startswith(HOURS.ids(HOUR, "a"))
    assert HOURS.letters_of(FILE).startswith(HOURS.letters(HOUR))


@pytest.mark.parametrize("key", keys(HOURS))
def test_the_file_is_told_from_its_key(key: str) -> None:
    assert file_id_of(key) == FILE.id


def test_books_of_runs_and_copies_of_letters_share_no_key() -> None:
    roots = [HOURS, HOURS.of_run("replays", "a"), HOURS.of_run("redrives", "a"), HOURS.of_run("redrives", "b").planned]
    every = [key for root in roots for key in keys(root)]
    assert len(set(every)) == len(every)


@given(st.text())
def test_no_run_leaves_its_folder(run_id: str) -> None:
    assert "/" not in run_name(run_id)
    assert HOURS.of_run("replays", run_id).root == f"export/demo/replays/{run_name(run_id)}/"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_event_type_leaves_its_folder_or_passes_the_limit_of_keys(event_type: str) -> None:
    key = Layout("r/" * 100).ids_of(FILE, event_type)
    assert key.count("/") == 100 + 3
    assert key.isascii()
    assert key.isprintable()
    assert len(key) <= 1024


def test_event_types_of_braze_are_named_as_they_are_and_no_two_types_alike() -> None:
    assert type_name("users.messages.email.Open") == "users.messages.email.Open"
    odd = ["a/b", "a%2Fb", "..", "🙂" * 100, "🙂" * 101, "x" * 128, type_name("🙂" * 100)]
    assert len({type_name(each) for each in odd}) == len(odd)
