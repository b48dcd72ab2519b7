from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import IO, Any

import numpy as np
import pytest

from currents_aws.memory import MemoryObjects
from currents_core.books import claim as claim_module
from currents_core.books import pages as pages_module
from currents_core.books.account import Account, Counts
from currents_core.books.claim import Claim
from currents_core.books.dead_letter import letters_of, write_letters
from currents_core.books.head import FileState, Head
from currents_core.books.id_pages import Ids, placed
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.row_set import RowSet
from currents_core.crew import Threads
from currents_core.errors import CurrentsError, FencedError, TransientError
from currents_core.file_key import Slice, SourceFile
from tests.tools.house import finish

HOUR = "2026-11-23-08"
PLACE = Slice(HOUR, "a")
KEY = Layout().head(PLACE)
LOST = TransientError("no answer")


class Line(MemoryObjects):
    """A bucket behind a bad line: ``faults`` say what becomes of the next swaps. ``done`` has all that happened."""

    def __init__(self) -> None:
        super().__init__("state")
        self.faults: list[Callable[[Callable[[], str]], str]] = []
        self.done: list[str] = []

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        self.done.append("swap")

        def write() -> str:
            return super(Line, self).write_version(key, body, replaces)

        return self.faults.pop(0)(write) if self.faults else write()

    def write(self, key: str, body: bytes) -> None:
        self.done.append(f"write {key.rpartition('.')[2]}")
        super().write(key, body)

    def delete(self, key: str) -> None:
        self.done.append(f"remove {key.rpartition('.')[2]}")
        super().delete(key)


def answer_lost(write: Callable[[], str]) -> str:
    write()
    raise LOST


def request_lost(_write: Callable[[], str]) -> str:
    raise LOST


def claimed(store: MemoryObjects, owner: str = "a test") -> Claim:
    claim = Ledger(store, Layout()).claim(PLACE, owner)
    assert isinstance(claim, Claim)
    return claim


def stored(store: MemoryObjects) -> Head:
    head = Ledger(store, Layout()).head(PLACE)
    assert head
    return head


def state(name: str, rows: int = 1, fate: str = "open", **more: Any) -> FileState:
    file = SourceFile("b", f"event_type=a/date={HOUR}/{name}", "e", 1)
    account = Account({"a": Counts(read=rows, sent=rows)}) if fate == "done" else None
    return FileState(file, int(name), fate, RowSet([(0, rows)]), account, **more)  # type: ignore[arg-type]


def ids(*numbers: int) -> Ids:
    return placed(np.array([[number, number] for number in numbers], np.uint64), 0, numbers)


def test_a_swap_replaces_the_head_and_the_last_one_gives_the_slice_back() -> None:
    store = MemoryObjects("state")
    claim = claimed(store)
    claim.swap([state("0")], [ids(1, 2)])
    found = stored(store)
    assert (found.seq, found.claim, found.owner, found.token) == (2, 1, "a test", claim.head.token)
    assert [each.rows.ranges for each in found.files.values()] == [[(0, 1)]]
    assert found.ids.tolist() == ids(1, 2).tolist()
    claim.swap([state("0", 2), state("1")], release=True)
    found = stored(store)
    assert (found.seq, found.owner, found.files.keys()) == (3, None, claim.head.files.keys())
    assert [each.rows.ranges for each in found.files.values()] == [[(0, 2)], [(0, 1)]]
    assert found.ids.tolist() == ids(1, 2).tolist()


def test_a_swap_whose_answer_was_lost_is_adopted() -> None:
    store = Line()
    claim = claimed(store)
    store.faults, store.done = [answer_lost], []
    claim.swap([state("0")])
    assert (store.done.count("swap"), stored(store).seq, claim.head.seq) == (1, 2, 2)
    claim.swap([state("1")])
    assert stored(store).files.keys() == claim.head.files.keys()
    assert len(claim.head.files) == 2


def test_a_swap_that_did_not_arrive_is_tried_again_and_then_left_to_the_next() -> None:
    store = Line()
    claim = claimed(store)
    store.faults = [request_lost, request_lost]
    claim.swap([state("0")])
    assert stored(store).files.keys() == {state("0").file.id}
    store.faults = [request_lost] * 3
    with pytest.raises(TransientError, match="no answer"):
        claim.swap([state("1")])
    assert claim.head.files.keys() == {state("0").file.id}, "what is not confirmed does not count"
    claim.swap([state("1"), state("2")])
    assert len(stored(store).files) == 3


def test_an_earlier_swap_of_its_own_that_arrives_late_is_replaced_by_the_next() -> None:
    store = Line()
    claim = claimed(store)
    late: list[Callable[[], str]] = []
    store.faults = [lambda write: late.append(write) or request_lost(write)] + [request_lost] * 2  # type: ignore[func-returns-value]
    with pytest.raises(TransientError):
        claim.swap([state("0")])
    late[0]()
    assert stored(store).files.keys() == {state("0").file.id}
    seq = stored(store).seq
    claim.swap([state("0", 2), state("1")])
    found = stored(store)
    assert [len(each.rows) for each in found.files.values()] == [2, 1]
    assert found.seq > seq
    claim.swap(release=True)


def test_one_that_arrives_after_its_second_try_changes_nothing() -> None:
    store = Line()
    claim = claimed(store)
    late: list[Callable[[], str]] = []
    store.faults = [lambda write: late.append(write) or request_lost(write)]  # type: ignore[func-returns-value]
    claim.swap([state("0")])
    before = store.contents[KEY]
    with pytest.raises(TransientError):
        late[0]()
    assert store.contents[KEY] == before


@pytest.mark.parametrize("fault", [None, answer_lost, request_lost])
def test_who_finds_another_token_has_lost_the_slice(fault: Any) -> None:
    store = Line()
    claim = claimed(store)
    other = json.loads(store.contents[KEY]) | {"token": "another", "owner": "the successor"}
    store.contents[KEY] = json.dumps(other).encode()
    store.faults = [fault] if fault else []
    for _ in range(2):
        with pytest.raises(FencedError, match=f"^a of {HOUR}: another task took it over"):
            claim.swap([state("0")])
    assert json.loads(store.contents[KEY]) == other


def test_a_head_that_is_gone_is_lost_too() -> None:
    store = MemoryObjects("state")
    claim = claimed(store)
    del store.contents[KEY]
    with pytest.raises(FencedError):
        claim.swap([state("0")])
    assert KEY not in store.contents


def test_books_that_are_not_true_are_not_written() -> None:
    store = MemoryObjects("state")
    claim = claimed(store)
    with pytest.raises(CurrentsError, match="the books don't balance"):
        claim.swap([replace(state("0", fate="done"), rows=RowSet())])
    assert stored(store).files == {}


def test_the_age_is_that_of_the_last_confirmed_swap_since_its_beginning() -> None:
    store = Line()
    now = [0.0]
    claim = claimed(store)
    claim._seconds = lambda: now[0]

    def slow(write: Callable[[], str]) -> str:
        now[0] += 4
        return write()

    store.faults = [slow]
    claim.swap()
    assert claim.age == 4
    now[0] = 10
    store.faults = [request_lost] * 3
    with pytest.raises(TransientError):
        claim.swap()
    assert claim.age == 10


def test_many_ids_and_states_go_to_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_module, "INLINE_IDS", 3)
    monkeypatch.setattr(pages_module, "INLINE_BYTES", 1_500)
    store = MemoryObjects("state")
    claim = claimed(store)
    claim.swap([state("0", fate="done")], [ids(1, 2), ids(3)])
    assert (claim.head.id_pages, claim.head.file_pages) == ((), ())
    claim.swap([state("1", fate="done"), state("2")], [ids(4)])
    assert (len(claim.head.id_pages), len(claim.head.ids)) == (1, 0)
    assert (len(claim.head.file_pages), [each.fate for each in claim.head.inline()]) == (1, ["open"])
    claim.swap([state("2", 2)], [ids(5)])
    assert claim.seen().contains(ids(1, 2, 3, 4, 5, 6)[:, :2]).tolist() == [True] * 5 + [False]
    assert [len(each.rows) for each in stored(store).files.values()] == [1, 1, 2]
    assert len(store.contents[KEY]) < 1_500


def test_a_task_shows_that_it_is_alive_while_it_reads_the_ids_that_many_swaps_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claim_module, "INLINE_IDS", 0)
    now, signs = [0.0], [0.0]

    class Slow(MemoryObjects):
        def download(self, key: str, etag: str | None, into: IO[bytes]) -> None:
            now[0] += 2.0
            super().download(key, etag, into)

        def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
            signs.append(now[0])
            return super().write_version(key, body, replaces)

    class Clocked(Threads):
        def seconds(self) -> float:
            return now[0]

    claim = Ledger(Slow("state"), Layout(), crew=Clocked()).claim(PLACE, "a test")
    assert isinstance(claim, Claim)
    for number in range(30):
        claim.swap([state("0", number + 1)], [ids(number)])
    before = claim.head
    assert claim.seen().contains(ids(*range(31))[:, :2]).tolist() == [True] * 30 + [False]
    assert (claim.head.files, claim.head.id_pages) == (before.files, before.id_pages)
    assert now[0] == 60.0
    assert max(np.diff([*signs, now[0]])) <= 10.0


def letters(claim: Claim, *rows: tuple[FileState, int]) -> str:
    name = claim.new_page("letters")
    lines = [{"origin": {"key": each.file.key, "etag": each.file.etag, "row": row}} for each, row in rows]
    assert write_letters(claim.pages, name, lines)
    return name


def busy(store: MemoryObjects, monkeypatch: pytest.MonkeyPatch) -> Claim:
    """A claim of a slice that has two pages of each kind."""
    monkeypatch.setattr(claim_module, "INLINE_IDS", 1)
    monkeypatch.setattr(pages_module, "INLINE_BYTES", 1)
    claim = claimed(store)
    for number in range(2):
        each = state(f"{number}", fate="done")
        page = letters(claim, (each, 7), (each, 0))
        claim.swap([replace(each, letters=(page,))], [ids(2 * number, 2 * number + 1)])
    assert [len(names) for names in (claim.head.id_pages, claim.head.file_pages)] == [2, 2]
    return claim


def test_the_last_swap_leaves_one_page_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Line()
    claim = busy(store, monkeypatch)
    store.done = []
    finish(claim, [], [ids(9)])
    found = stored(store)
    kinds = sorted(name.rpartition(".")[2] for name in found.pages)
    assert kinds == ["files", "ids", "letters"]
    assert {KEY, *(Layout().page(PLACE, name) for name in found.pages)} == store.contents.keys()
    assert (found.owner, len(found.files), len(found.ids)) == (None, 2, 0)
    [page] = claim.pages.ids(found.id_pages)
    assert len(page) == 5
    # Row 0 went, so its letters are no more.
    left = [letter["origin"]["row"] for _, letter in letters_of(claim.pages, found.files.values())]
    assert left == [7, 7]
    assert store.done[-2:] == ["swap", "write json"]
    removing = [place for place, what in enumerate(store.done) if what.startswith("remove")]
    writing = [place for place, what in enumerate(store.done) if what.startswith("write") and "json" not in what]
    swaps = [place for place, what in enumerate(store.done) if what == "swap"]
    assert max(writing) < swaps[1] < min(removing)
    assert max(removing) < swaps[2]
    assert len(removing) == 6


@pytest.mark.parametrize("fails", [0, 1, 2])
@pytest.mark.parametrize("fault", [answer_lost, request_lost])
def test_wherever_finishing_fails_all_that_the_head_names_is_there(
    fails: int, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Line()
    claim = busy(store, monkeypatch)

    def well(write: Callable[[], str]) -> str:
        return write()

    store.faults = [well] * fails + [fault] * (1 if fault is answer_lost else 3)
    try:
        finish(claim, [], [ids(9)])
    except TransientError:
        for name in stored(store).pages:
            assert Layout().page(PLACE, name) in store.contents
        finish(claim, [], [ids(9)])
    found = stored(store)
    assert (found.owner, len(found.files), len(found.pages)) == (None, 2, 3)
    assert claim.seen().contains(ids(0, 1, 2, 3, 9)[:, :2]).all()


def test_pages_that_a_swap_left_out_are_removed_at_the_end() -> None:
    store = Line()
    claim = claimed(store)
    first = state("0", fate="done")
    claim.swap([replace(first, letters=(letters(claim, (first, 7)),))])
    claim.swap([replace(first, letters=(letters(claim, (first, 8)),))])
    finish(claim, [replace(first, letters=(letters(claim, (first, 9)),))], [])
    [name] = stored(store).pages
    assert store.contents.keys() == {KEY, Layout().page(PLACE, name)}


def test_a_slice_that_is_tidy_is_given_back_by_one_swap() -> None:
    store = Line()
    claim = claimed(store)
    store.done = []
    finish(claim, [state("0", fate="done")], [ids(1)])
    assert store.done == ["swap", "write json"]
    assert stored(store).owner is None
