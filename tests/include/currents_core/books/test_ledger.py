from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from currents_aws.memory import MemoryObjects
from currents_core.books.account import Account, Counts
from currents_core.books.layout import Layout
from currents_core.books.ledger import LEASE, Done, Held, Lease, Ledger
from currents_core.books.row_set import RowSet
from currents_core.errors import ConflictError, FencedError
from currents_core.file_key import SourceFile

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = "2026-11-23-08"
FILE = SourceFile("braze", f"event_type=a/date={HOUR}/1", "e", 1)


def ledger(store: MemoryObjects | None = None) -> Ledger:
    return Ledger(store or MemoryObjects("state"), Layout())


def claimed(books: Ledger, owner: str = "first", now: datetime = NOW) -> Lease:
    lease = books.claim(FILE, owner, now)
    assert isinstance(lease, Lease)
    return lease


def test_a_file_is_held_by_one_task_at_a_time_until_its_lease_runs_out() -> None:
    books = ledger()
    claimed(books)
    assert books.claim(FILE, "second", NOW + LEASE - timedelta(seconds=1)) == Held("first", NOW + LEASE)
    second = claimed(books, "second", NOW + LEASE)
    assert (second.owner, second.resumed) == ("second", True)


def test_a_successor_goes_on_with_the_rows_that_were_acknowledged() -> None:
    books = ledger()
    books.checkpoint(claimed(books), RowSet([(0, 5), (8, 9)]), NOW, release=True)
    assert claimed(books, "second").rows.ranges == [(0, 5), (8, 9)]


def test_a_zombie_is_fenced_and_its_writes_are_refused() -> None:
    store = MemoryObjects("state")
    books = ledger(store)
    zombie = claimed(books)
    successor = claimed(books, "second", NOW + LEASE)
    before = dict(store.contents)
    with pytest.raises(FencedError, match=r"s3://braze/.*another task took it over"):
        books.checkpoint(zombie, RowSet([(0, 99)]), NOW + LEASE)
    assert store.contents == before
    books.settle(successor, Account({"a": Counts(1, 1)}), NOW + LEASE)
    with pytest.raises(FencedError, match="another task delivered it"):
        books.settle(zombie, Account({"a": Counts(9, 9)}), NOW + LEASE)
    assert books.account(HOUR).account.totals == Counts(1, 1)


def test_a_file_that_is_done_is_not_taken_up_again() -> None:
    books = ledger()
    books.settle(claimed(books), Account(), NOW)
    assert isinstance(books.claim(FILE, "second", NOW + 2 * LEASE), Done)
    assert books.done(HOUR) == {FILE.id}


def test_a_write_whose_answer_was_lost_and_that_was_repeated_is_no_conflict() -> None:
    class Lossy(MemoryObjects):
        """Every conditional write arrives, is answered by nobody, and is repeated by the client."""

        def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
            if replaces is not None or "/done/" in key:
                super().write_version(key, body, replaces)
            return super().write_version(key, body, replaces)

    books = ledger(Lossy("state"))
    lease = claimed(books)
    books.checkpoint(lease, RowSet([(0, 3)]), NOW)
    books.checkpoint(lease, RowSet([(0, 7)]), NOW)
    books.settle(lease, Account(), NOW)
    assert books.done(HOUR) == {FILE.id}


def test_the_record_of_a_lease_says_who_has_it_and_how_far_it_is() -> None:
    store = MemoryObjects("state")
    books = ledger(store)
    books.checkpoint(claimed(books), RowSet([(0, 3), (5, 6)]), NOW)
    record = json.loads(store.contents[f"ledger/date={HOUR}/leases/{FILE.id}.json"])
    assert record["lease"] == {"owner": "first", "expires_at": "2026-11-23T09:01:00.000+00:00"}
    assert record["acknowledged"] == {"position": 3, "rows": 4, "ranges": [[0, 3], [5, 6]]}
    assert record["file"] == {"bucket": "braze", "key": FILE.key, "etag": "e", "size": 1}


def test_another_version_of_an_object_is_another_file_of_the_same_place() -> None:
    again = SourceFile(FILE.bucket, FILE.key, "other", 1)
    assert again.id != FILE.id
    assert again.place == FILE.place
    assert again.id.startswith(again.place)


class Tasks(RuleBasedStateMachine):
    """Tasks deliver one file of 30 rows, crash, wake up late and take each other's work over, in any order."""

    ROWS = 30

    def __init__(self) -> None:
        super().__init__()
        self.books = ledger()
        self.now = NOW
        self.sent: dict[int, int] = {}
        self.unsaved: dict[str, int] = {}
        self.leases: dict[str, Lease] = {}
        self.rows: dict[str, RowSet] = {}
        self.is_done = False
        self.allowed_repeats = 0

    @rule(task=st.sampled_from("abc"))
    def claim(self, task: str) -> None:
        found = self.books.claim(FILE, task, self.now)
        if isinstance(found, Lease):
            assert not self.is_done
            for other in [each for each in self.leases if each != task]:
                assert self.leases[other].expires_at <= self.now, "two tasks have the file"
            self.leases[task], self.rows[task] = found, RowSet(found.rows.ranges)
            self.unsaved[task] = 0
        elif isinstance(found, Done):
            assert self.is_done

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(sorted(self.leases)))
        missing = [row for row in range(self.ROWS) if [row, row + 1] and not self._has(task, row)]
        if not missing:
            return
        row = data.draw(st.sampled_from(missing))
        self.sent[row] = self.sent.get(row, 0) + 1
        self.rows[task].add(row, row + 1)
        self.unsaved[task] += 1

    def _has(self, task: str, row: int) -> bool:
        return any(start <= row < stop for start, stop in self.rows[task].ranges)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), release=st.booleans())
    def checkpoint(self, data: st.DataObject, release: bool) -> None:
        task = data.draw(st.sampled_from(sorted(self.leases)))
        try:
            self.books.checkpoint(self.leases[task], RowSet(self.rows[task].ranges), self.now, release=release)
        except FencedError:
            self._forget(task)
            return
        self.unsaved[task] = 0
        if release:
            self._forget(task)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self._forget(data.draw(st.sampled_from(sorted(self.leases))))

    def _forget(self, task: str) -> None:
        self.allowed_repeats += self.unsaved.pop(task)
        del self.leases[task], self.rows[task]

    @rule(seconds=st.integers(1, 80))
    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        for task in self.leases:
            if self.leases[task].expires_at <= self.now:
                # From here on a successor may send what this one does: a lease that ran out protects nobody.
                self.allowed_repeats += self.ROWS

    @precondition(lambda self: any(len(rows) == 30 for rows in self.rows.values()))
    @rule()
    def settle(self) -> None:
        task = next(task for task, rows in self.rows.items() if len(rows) == self.ROWS)
        try:
            self.books.settle(self.leases[task], Account({"a": Counts(self.ROWS, self.ROWS)}), self.now)
        except FencedError:
            assert self.is_done
        self.is_done = True
        self._forget(task)

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
