"""The oracle: it sees what was sent, accepted and written, and raises ViolationError where a promise is broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from currents_core.books.head import Head, parse_head
from currents_core.books.layout import is_day_index, is_head
from currents_core.books.ledger import LEASE_SECONDS
from currents_core.file_key import Slice, SourceFile
from tests.simulation.books import LAYOUT, Books, Place, ViolationError, known_books, require, require_same
from tests.simulation.changes import Change, Wants, check_change
from tests.simulation.destination import Put, Watcher
from tests.simulation.files import rows_of
from tests.simulation.scheduler import Process
from tests.simulation.store import Watch

# Nothing is sent without a swap that was confirmed and began this long ago, in seconds.
_STALE = 5.0
# Nothing is sent to a destination that is watched without a look that began this long ago.
_UNSEEN = 15.0


@dataclass
class Record(Watch):
    """What is known of one process: its settings, its clock, its claims by the keys of their heads, and its answers.

    ``began`` has when each swap began, ``confirmed`` when the last confirmed one did, ``due`` the rows that the next
    swap must name, and ``answered`` those whose acceptance the process was told.
    """

    wants: Wants
    clock: Callable[[], float]
    tokens: dict[str, str] = field(default_factory=dict)
    began_at: dict[tuple[str, bytes], float] = field(default_factory=dict)
    last: dict[str, bytes] = field(default_factory=dict)
    confirmed: dict[str, float] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    released: set[str] = field(default_factory=set)
    answered: dict[str, set[Place]] = field(default_factory=dict)
    due: dict[str, set[Place]] = field(default_factory=dict)
    saved: set[Place] = field(default_factory=set)
    looked: float | None = None

    def failed(self, key: str) -> None:
        """A write failed: what it was for is not given back if no later one succeeds."""
        self.failing.add(f"{key.rpartition('/')[0]}/head.json")

    def began(self, key: str, body: bytes) -> None:
        """A swap begins: it names what was known to be accepted when it was asked for."""
        if not is_head(key):
            return
        told = orjson.loads(body)
        self.began_at[key, body] = self.clock()
        self.last[key] = body
        if self.tokens.get(key) is None or key in self.lost:
            self.tokens[key] = told["token"]

    def saw(self, key: str, body: bytes) -> None:
        """The process learns what the head is."""
        if (key, body) in self.began_at:
            self.confirmed[key] = max(self.confirmed.get(key, 0.0), self.began_at[key, body])
            if body == self.last.get(key):
                self.failing.discard(key)
        elif key in self.confirmed and orjson.loads(body)["token"] != self.tokens[key]:
            self.lost.add(key)

    def missed(self, key: str) -> None:
        """The process learns that there is no head: its day has it now."""
        if key in self.confirmed:
            self.lost.add(key)


def _noted(look: Callable[..., None]) -> Callable[..., None]:
    """A look of the oracle that keeps the first violation, because the core may swallow what is raised."""

    def noted(oracle: Oracle, *given: Any) -> None:
        try:
            look(oracle, *given)
        except ViolationError as error:
            oracle.violation = oracle.violation or error
            raise

    return noted


class Oracle(Watcher):
    """Watches one history."""

    def __init__(self, contents: Mapping[str, bytes], clock: Callable[[], float]) -> None:
        self._contents = contents
        self._clock = clock
        self.records: dict[Process, Record] = {}
        self.files: dict[str, tuple[SourceFile, tuple[str | None, ...]]] = {}
        # When each version of an object was there: the times at which it came and went.
        self.there: dict[str, list[list[float]]] = {}
        # The heads that are there, and what is known of each slice from its head or from its day, by the keys of heads.
        self.heads: dict[str, Head] = {}
        self.books: dict[str, Books] = {}
        # Whether the state of the day is being removed, as it is older than the retention.
        self.has_ended = False
        self.settled: dict[str, dict[int, bool]] = {}
        self.violation: ViolationError | None = None
        self.changed: dict[str, float] = {}
        self.claimed: dict[str, float] = {}
        self.accepted_rows: set[Place] = set()
        self.accepted_ids = Counter[tuple[str, str]]()
        self.saved_ids = Counter[tuple[str, str]]()
        self.unsaved = 0

    def came(self, file: SourceFile, body: bytes) -> None:
        """An object was written to the source."""
        self.files[file.id] = (file, rows_of(body))
        self.there.setdefault(file.id, []).append([self._clock(), float("inf")])

    def went(self, file: SourceFile) -> None:
        """An object was replaced or removed."""
        self.there[file.id][-1][1] = self._clock()

    # What the store tells.

    @_noted
    def landed(self, process: Process, key: str) -> None:
        """An object of the state changed."""
        if self.has_ended:
            return
        if is_head(key):
            self._head_landed(process, key)
            return
        if is_day_index(key):
            self._require_unchanged("a day is compacted")
        for books in self.books.values():
            if key in books.pages:
                require(self._contents.get(key) == books.pages[key], f"a page that counts was changed: {key}")

    def _require_unchanged(self, why: str) -> None:
        """Has all books read again, which must say the same as before."""
        now = {key: known_books(self._contents, before.head.slice) for key, before in self.books.items()}
        for key, after in now.items():
            require_same(self.books[key], after, why)
        self.books = {key: after for key, after in now.items() if after}

    def _head_removed(self, key: str) -> None:
        head = self.heads.pop(key, None)
        if head:
            is_free = head.owner is None or self._clock() - self.changed[key] > LEASE_SECONDS
            require(is_free, "a head was removed that a task has")
            self._require_unchanged("a head is removed")

    def _head_landed(self, process: Process, key: str) -> None:
        if key not in self._contents:
            self._head_removed(key)
            return
        record, head = self.records[process], parse_head(self._contents[key], key)
        before, after = self.books.get(key), known_books(self._contents, head.slice)
        assert after
        self._check_claim(key, self.heads.get(key), head)
        self.heads[key] = head
        told = Change(before, after, record.wants, self.files, self.settled)
        for place in check_change(told):
            require(
                place in record.answered.get(key, ()), f"{place} is called accepted, but its task does not know that"
            )
            require(place in self.accepted_rows, f"{place} is called accepted, and never was")
            self.saved_ids[after.head.slice.event_type or "", self._id(place)] += 1
            record.saved.add(place)
        for state in told.gone:
            self._check_gone(key, state.file)
        if after.head.owner is None:
            record.released.add(key)
        self.books[key] = after
        self.changed[key] = self._clock()

    def _check_claim(self, key: str, before: Head | None, after: Head) -> None:
        """Whoever replaces a head has its claim, or makes one of a slice that nobody has."""
        if before is None or after.token != before.token:
            self.claimed[key] = self._clock()
        if before is None:
            return
        require(after.seq > before.seq, "a head does not count on")
        if after.token == before.token:
            return
        require(after.claim > before.claim, "two claims have one number")
        is_free = before.owner is None or self._clock() - self.changed[key] > LEASE_SECONDS
        require(is_free, "a slice was claimed that another task has")

    def _check_gone(self, key: str, file: SourceFile) -> None:
        since = self.claimed[key]
        was_there = any(came <= since and gone == float("inf") for came, gone in self.there[file.id])
        require(not was_there, f"{file.key} is called gone, and was there all the time")

    # What the destination tells.

    @_noted
    def sending(self, process: Process, puts: Sequence[Put]) -> None:
        """A request starts."""
        record = self.records[process]
        for key in dict.fromkeys(head_key(put.file.slice) for put in puts):
            require(key not in record.lost, "a task sends what it knows to be another's")
            age = record.clock() - record.confirmed.get(key, -1e9)
            require(age < _STALE, f"a task sends {age:.1f} s after its last confirmed swap")
        if record.looked is not None:
            age = record.clock() - record.looked
            require(age < _UNSEEN, f"a task sends {age:.1f} s after its last look")

    @_noted
    def accepted(self, process: Process, put: Put) -> None:
        """The destination accepted an entry."""
        key = head_key(put.file.slice)
        books = self.books.get(key)
        if books and books.head.token == self.records[process].tokens.get(key):
            state = books.states.get(put.file.id)
            is_saved = (state and put.row in state.rows) or put.id in books.accepted
            require(not is_saved, f"{put.id} was sent again, though the books of its sender say that it was accepted")
        require(self._id(put.place) == put.id, f"{put.place} was sent as {put.id}")
        require(self.records[process].wants(put.event_type, put.id), f"{put.id} was sent, and is not wanted")
        self.accepted_rows.add(put.place)
        self.accepted_ids[put.event_type, put.id] += 1

    def looking(self, process: Process) -> float:
        """A process begins to look."""
        return self.records[process].clock()

    def looked(self, process: Process, began: float) -> None:
        """A look found the destination active."""
        self.records[process].looked = began

    def answered(self, process: Process, puts: Sequence[Put]) -> None:
        """A process learns what was accepted."""
        for put in puts:
            self.records[process].answered.setdefault(head_key(put.file.slice), set()).add(put.place)

    # What the processes tell.

    def asks_to_swap(self, process: Process, key: str) -> None:
        """A process is about to replace a head, with all that it knows."""
        record = self.records[process]
        record.due[key] = set(record.answered.get(key, ()))

    def ended(self, process: Process, *, is_well: bool) -> None:
        """A process ended by itself: where its last swap landed, all that it knew to be accepted is in the books.

        If it ``is_well``, all its swaps must have landed, but for those of a slice of which it sent nothing: that one
        is free again when its claim runs out.
        """
        record = self.records[process]
        for key in record.confirmed:
            has_failed = key in record.lost or key in record.failing
            if has_failed and not (is_well and record.answered.get(key)):
                continue
            require(key in record.released, f"{process.name} ended and did not give back {key}")
            unsaved = record.answered.get(key, set()) - record.saved
            require(not unsaved, f"{process.name} ended in good order and did not save {sorted(unsaved)}")

    def fenced(self, process: Process) -> None:
        """A process says that another has its slice."""
        require(self.records[process].lost, f"{process.name} took its own swap for another's")

    def _id(self, place: Place) -> str:
        return self.files[place[0]][1][place[1]] or ""


def head_key(place: Slice) -> str:
    """The key of the head of a slice."""
    return LAYOUT.head(place)
