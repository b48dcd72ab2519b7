from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import IO, Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from currents_aws.memory import MemoryObjects
from currents_core.books import claim as claim_module
from currents_core.books.account import Account, Counts
from currents_core.books.claim import Claim
from currents_core.books.format import FORMAT
from currents_core.books.head import FileState
from currents_core.books.id_pages import Ids, placed
from currents_core.books.layout import Layout, page_name
from currents_core.books.ledger import LEASE_SECONDS, Held, Ledger
from currents_core.books.pages import PageMissingError
from currents_core.books.row_set import RowSet
from currents_core.crew import Threads
from currents_core.errors import ConflictError, FencedError, SetupError, TransientError
from currents_core.file_key import Slice, SourceFile
from tests.tools.house import finish

HOUR = "2026-11-23-08"
PLACE = Slice(HOUR, "a")
FILE = SourceFile("braze", f"event_type=a/date={HOUR}/1", "e", 1)
LAYOUT = Layout("export/demo/")
KEY = LAYOUT.head(PLACE)


class State(MemoryObjects):
    """A bucket whose clock is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0
        super().__init__("state", clock=lambda: self.now)


class Wrong(Threads):
    """A crew on a machine whose clocks are wrong by ``seconds``."""

    def __init__(self, wrong: float) -> None:
        super().__init__()
        self._wrong = wrong

    def seconds(self) -> float:
        """A wrong clock."""
        return super().seconds() + self._wrong


def ledger(store: MemoryObjects, **more: Any) -> Ledger:
    return Ledger(store, LAYOUT, **more)


def claimed(store: MemoryObjects, owner: str = "first", place: Slice = PLACE) -> Claim:
    claim = ledger(store).claim(place, owner)
    assert isinstance(claim, Claim)
    return claim


def ids(*numbers: int) -> Ids:
    return placed(np.array([[number, number] for number in numbers], np.uint64), 0, numbers)


def test_a_slice_is_held_by_one_task_at_a_time_until_it_shows_no_sign_of_life() -> None:
    store = State()
    claimed(store)
    store.now += LEASE_SECONDS
    assert ledger(store).claim(PLACE, "second") == Held("first", 0)
    store.now += 1
    second = claimed(store, "second")
    assert (second.head.owner, second.head.claim, second.head.seq) == ("second", 2, 2)


def test_a_swap_is_a_sign_of_life_and_giving_back_frees_the_slice_at_once() -> None:
    store = State()
    first = claimed(store)
    store.now += 50
    first.swap()
    store.now += 50
    assert ledger(store).claim(PLACE, "second") == Held("first", 10)
    first.swap(release=True)
    assert claimed(store, "second").head.claim == 2


@pytest.mark.parametrize("wrong", [-1e6, 1e6])
def test_only_the_clock_of_the_store_says_whether_a_task_is_alive(wrong: float) -> None:
    store = State()
    claimed(store)
    store.now += 30
    elsewhere = ledger(store, crew=Wrong(wrong))
    assert elsewhere.claim(PLACE, "second") == Held("first", 30)
    store.now += 31
    assert isinstance(elsewhere.claim(PLACE, "second"), Claim)


def test_slices_are_held_one_by_one() -> None:
    store = State()
    claimed(store)
    for other in (Slice(HOUR, "b"), Slice(HOUR, None), Slice("2026-11-23-07", "a")):
        claimed(store, "second", other)
    assert {head.slice for head in ledger(store).heads(HOUR)} == {PLACE, Slice(HOUR, "b"), Slice(HOUR, None)}
    assert ledger(store).head(Slice(HOUR, "c")) is None


def test_a_successor_goes_on_with_what_was_accepted_and_the_zombie_is_fenced() -> None:
    store = State()
    zombie = claimed(store)
    zombie.swap([FileState(FILE, 0, rows=RowSet([(0, 5), (8, 9)]))], [ids(1, 2)])
    store.now += LEASE_SECONDS + 1
    second = claimed(store, "second")
    assert second.head.files[FILE.id].rows.ranges == [(0, 5), (8, 9)]
    assert second.seen().contains(ids(1, 2, 3)[:, :2]).tolist() == [True, True, False]
    before = dict(store.contents)
    with pytest.raises(FencedError):
        zombie.swap([FileState(FILE, 0, rows=RowSet([(0, 99)]))])
    assert store.contents == before


def test_who_takes_over_removes_the_pages_that_the_dead_task_could_not_name() -> None:
    store = State()
    dead = claimed(store)
    name = dead.new_page("ids")
    dead.pages.write(name, b"")
    dead.swap(release=True)
    claimed(store, "second")
    assert LAYOUT.page(PLACE, name) in store.contents, "looking for them costs a request, so only after a death"
    store.now += LEASE_SECONDS + 1
    claimed(store, "third")
    assert store.contents.keys() == {KEY}


Fault = Callable[[Callable[[], str]], str]


class Faulty(State):
    """A bucket of which ``fault`` says what becomes of the next write."""

    fault: Fault | None = None

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        def write() -> str:
            return super(Faulty, self).write_version(key, body, replaces)

        fault, self.fault = self.fault, None
        return fault(write) if fault else write()


def test_a_claim_whose_answer_was_lost_is_adopted() -> None:
    store = Faulty()

    def lose(write: Callable[[], str]) -> str:
        write()
        raise TransientError("no answer")

    store.fault = lose
    claim = claimed(store)
    claim.swap([FileState(FILE, 0)])
    assert claim.head.seq == 2


@pytest.mark.parametrize(("times", "arrives"), [(1, True), (2, True), (3, False)])
def test_a_claim_that_did_not_arrive_is_tried_again_a_few_times(times: int, arrives: bool) -> None:
    store, left = Faulty(), [times]

    def lose(write: Callable[[], str]) -> str:
        if not left[0]:
            return write()
        left[0] -= 1
        store.fault = lose
        raise TransientError("no answer")

    store.fault = lose
    if arrives:
        assert claimed(store).head.seq == 1
        return
    with pytest.raises(TransientError, match="no answer"):
        claimed(store)
    assert store.contents == {}


@pytest.mark.parametrize("before", [True, False])
def test_who_comes_second_is_told_so(before: bool) -> None:
    store = Faulty()
    if before:
        claimed(store).swap(release=True)

    def overtake(write: Callable[[], str]) -> str:
        claimed(store, "the faster")
        return write()

    store.fault = overtake
    second = ledger(store).claim(PLACE, "second")
    assert isinstance(second, Held)
    assert second.owner == ("another task" if before else "the faster")
    assert second.seconds == pytest.approx(LEASE_SECONDS, abs=1)
    head = ledger(store).head(PLACE)
    assert head
    assert head.owner == "the faster"


def test_state_of_a_newer_version_is_left_alone() -> None:
    store = State()
    claimed(store).swap(release=True)
    body = json.dumps(json.loads(store.contents[KEY]) | {"format": FORMAT + 1}).encode()
    store.write(KEY, body)
    for ask in (lambda: ledger(store).claim(PLACE, "a test"), lambda: ledger(store).heads(HOUR)):
        with pytest.raises(SetupError, match=f"s3://state/{KEY}: this state has format {FORMAT + 1}"):
            ask()
    assert store.contents[KEY] == body


class Merging(State):
    """A bucket in which ``merge`` happens just before a page is read."""

    merge: Callable[[], None] | None = None

    def download(self, key: str, etag: str | None, into: IO[bytes]) -> None:
        merge, self.merge = self.merge, None
        if merge:
            merge()
        super().download(key, etag, into)


def paged(store: MemoryObjects, monkeypatch: pytest.MonkeyPatch) -> Claim:
    monkeypatch.setattr("currents_core.books.pages.INLINE_BYTES", 1)
    claim = claimed(store)
    for number in range(2):
        file = replace(FILE, key=f"{FILE.key}{number}")
        claim.swap([FileState(file, number, "done", RowSet([(0, 1)]), Account({"a": Counts(1, 1)}))])
    assert len(claim.head.file_pages) == 2
    return claim


def test_a_page_that_was_merged_while_it_was_to_be_read_is_found_in_the_newer_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Merging()
    claim = paged(store, monkeypatch)
    store.merge = lambda: finish(claim, [], [])
    # The claim itself reads pages, so another ledger does the reading.
    [head] = ledger(store).heads(HOUR)
    assert (len(head.files), len(head.file_pages)) == (2, 1)


def test_a_page_that_is_missing_for_good_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    store = State()
    claim = paged(store, monkeypatch)
    store.delete(LAYOUT.page(PLACE, claim.head.file_pages[0]))
    with pytest.raises(PageMissingError, match="restore the object"):
        ledger(store).heads(HOUR)
    claim.swap(release=True)
    with pytest.raises(PageMissingError, match="restore the object"):
        ledger(store).claim(PLACE, "second")


def test_many_ids_are_searched_in_their_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_module, "INLINE_IDS", 1)
    store = State()
    claimed(store).swap([], [ids(1, 2, 3)], release=True)
    claim = claimed(store)
    assert (len(claim.head.id_pages), len(claim.head.ids)) == (1, 0)
    assert claim.seen().contains(ids(3, 4)[:, :2]).tolist() == [True, False]


def test_the_name_of_a_page_tells_claim_and_token() -> None:
    claim = claimed(State())
    token = claim.head.token
    assert [claim.new_page("ids"), claim.new_page("files")] == [
        page_name(1, token, 0, "ids"),
        page_name(1, token, 1, "files"),
    ]


class Tasks(RuleBasedStateMachine):
    """Tasks deliver one file of 30 rows, crash, wake up late and take each other's work over, in any order."""

    ROWS = 30

    def __init__(self) -> None:
        super().__init__()
        self.store = State()
        self.sent: dict[int, int] = {}
        self.claims: dict[str, Claim] = {}
        self.rows: dict[str, RowSet] = {}
        self.unsaved: dict[str, int] = {}
        self.is_done = False
        self.allowed_repeats = 0

    @rule(task=st.sampled_from("abc"))
    def claim(self, task: str) -> None:
        found = ledger(self.store).claim(PLACE, task)
        if isinstance(found, Held):
            return
        if task in self.claims:
            self._forget(task)
        state = found.head.files.get(FILE.id, FileState(FILE, 0))
        assert (state.fate == "done") == self.is_done
        self.claims[task], self.rows[task], self.unsaved[task] = found, RowSet(state.rows.ranges), 0

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), most=st.integers(1, 12))
    def accept(self, data: st.DataObject, most: int) -> None:
        task = data.draw(st.sampled_from(sorted(self.claims)))
        for row in [row for row in range(self.ROWS) if row not in self.rows[task]][:most]:
            self.sent[row] = self.sent.get(row, 0) + 1
            self.rows[task].add(row, row + 1)
            self.unsaved[task] += 1

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), release=st.booleans())
    def save(self, data: st.DataObject, release: bool) -> None:
        task = data.draw(st.sampled_from(sorted(self.claims)))
        rows = RowSet(self.rows[task].ranges)
        is_through = len(rows) == self.ROWS
        account = Account({"a": Counts(self.ROWS, self.ROWS)}) if is_through else None
        try:
            self.claims[task].swap(
                [FileState(FILE, 0, "done" if is_through else "open", rows, account)], release=release
            )
        except FencedError:
            self._forget(task)
            return
        assert not self.is_done or is_through
        self.is_done = is_through
        self.unsaved[task] = 0
        if release:
            self._forget(task)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self._forget(data.draw(st.sampled_from(sorted(self.claims))))

    def _forget(self, task: str) -> None:
        self.allowed_repeats += self.unsaved.pop(task)
        del self.claims[task], self.rows[task]

    @rule(seconds=st.integers(1, 80))
    def pass_time(self, seconds: int) -> None:
        self.store.now += seconds

    @invariant()
    def nothing_is_skipped(self) -> None:
        if self.is_done:
            assert set(self.sent) == set(range(self.ROWS))

    @invariant()
    def repeats_are_only_of_what_was_not_saved(self) -> None:
        repeats = sum(times - 1 for times in self.sent.values())
        assert repeats <= self.allowed_repeats + sum(self.unsaved.values())


TestTasks = Tasks.TestCase
TestTasks.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_conflicts_are_of_whoever_comes_second() -> None:
    store = MemoryObjects("state")
    etag = store.write_version("k", b"1", None)
    with pytest.raises(ConflictError):
        store.write_version("k", b"2", None)
    store.write_version("k", b"2", etag)
    with pytest.raises(ConflictError):
        store.write_version("k", b"3", etag)
