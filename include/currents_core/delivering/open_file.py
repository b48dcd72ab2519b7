"""A file that is being delivered: what became of its rows so far, and whether it is through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np

from currents_core.books.account import DEDUPLICATED, Account, Counts
from currents_core.books.dead_letter import DeadLetter
from currents_core.books.head import FileState
from currents_core.books.id_pages import Fingerprints, Ids, placed
from currents_core.books.row_set import RowSet
from currents_core.delivering.spool import Spool
from currents_core.errors import FileError
from currents_core.file_key import SourceFile
from currents_core.mode import Mode
from currents_core.reading.read import Batch

# Accepted rows and the fingerprints of their ids.
Accepted = tuple[Sequence[int], Fingerprints]


@dataclass(eq=False)
class OpenFile:
    """The state of one open file. Several threads note what became of rows, hence the lock.

    ``before`` is its state as the slice's head has it, and ``arn`` the ARN of the object, which its entries carry.
    ``asked`` has the rows to deliver, by the event type of their letters and their mode, if only letters are sent
    again. ``settings`` is the fingerprint of those under which it is delivered. ``account`` is that of the rows that
    were read, ``letters`` are those of rows that can't go, and ``fault`` says why the file can't be read to its end.
    ``rows`` is how many rows it says it has, and ``rows_read`` how many of them were read.
    """

    before: FileState
    arn: str
    asked: Mapping[tuple[str, Mode], RowSet] | None = None
    settings: str = ""
    account: Account = field(default_factory=Account)
    letters: Spool = field(default_factory=Spool)
    fault: FileError | None = None
    rows: int = 0
    rows_read: int = 0
    _rows: RowSet = field(init=False)
    _new: list[Accepted] = field(default_factory=list)
    _refused: Counter[str] = field(default_factory=Counter)
    _deduplicated: int = field(init=False)
    _deduplicated_before: int = field(init=False)
    _waiting: int = 0
    _is_read: bool = False
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._rows = self.before.rows.copy()
        self._deduplicated = self._deduplicated_before = self.before.deduplicated

    @property
    def file(self) -> SourceFile:
        """The file."""
        return self.before.file

    @property
    def waits(self) -> bool:
        """Whether there are entries that are not answered, or answers that the head does not have yet."""
        return bool(self._waiting or self._new)

    @property
    def unsaved(self) -> int:
        """How many of its rows were accepted and are in no head yet."""
        with self._lock:
            return sum(len(rows) for rows, _ in self._new)

    @property
    def is_through(self) -> bool:
        """Whether the file is read to its end and every entry of it is answered."""
        return self._is_read and not self._waiting

    @property
    def bytes_settled(self) -> float:
        """About how many bytes of it are settled, by its rows that were read and wait for no answer."""
        settled = max(self.rows_read - self._waiting, 0)
        return self.file.size * min(settled / self.rows, 1.0) if self.rows else 0.0

    def expect(self, entries: int) -> None:
        """Notes that so many entries are about to be sent."""
        with self._lock:
            self._waiting += entries

    def accept(self, rows: Sequence[int], prints: Fingerprints, deduplicated: int = 0) -> bool:
        """Notes accepted rows, and the fingerprints of their ids. Returns whether the file is now through.

        ``deduplicated`` is of how many the destination said that it has them already.
        """
        with self._lock:
            self._deduplicated += deduplicated
            if rows[-1] - rows[0] == len(rows) - 1:
                self._rows.add(rows[0], rows[-1] + 1)
            else:
                self._rows.add_rows(sorted(rows))
            self._new.append((rows, prints))
            self._waiting -= len(rows)
            return self.is_through

    def was_settled(self, rows: Sequence[int], prints: Fingerprints) -> None:
        """Notes rows that an earlier version of this project sent."""
        if len(rows):
            with self._lock:
                self._rows.add_rows(rows)
                self._new.append((rows, prints))

    def refuse(self, letter: DeadLetter) -> bool:
        """Notes the letter of a row that was refused for good. Returns whether the file is now through."""
        with self._lock:
            self.letters.add(letter)
            self._refused[letter.event_type] += 1
            self._waiting -= 1
            return self.is_through

    def park(self, letter: DeadLetter) -> None:
        """Notes the letter of a row that can't become an entry."""
        with self._lock:
            self.letters.add(letter)

    def end(self, fault: FileError | None = None) -> bool:
        """Notes that no more rows come, with the fault if that is early. Returns whether the file is now through."""
        with self._lock:
            self.fault = fault
            self._is_read = True
            return self.is_through

    @property
    def outcome(self) -> Account:
        """What became of the rows that were read, once the file is through."""
        account = Account()
        account.add(self.account)
        for event_type, letters in self.letters.event_types.items():
            account.of(event_type).dead_lettered += letters
            account.of(event_type).sent -= self._refused[event_type]
        if deduplicated := self._deduplicated - self._deduplicated_before:
            account.notes[DEDUPLICATED] = deduplicated
        return account

    def ids(self, accepted: Sequence[Accepted]) -> Ids:
        """The ids of accepted rows, made for many at a time: an answer brings few, and must be taken in quickly."""
        rows = [row for rows, _ in accepted for row in rows]
        return placed(np.concatenate([prints for _, prints in accepted]), self.before.number, rows)

    def news(self) -> tuple[FileState, list[Accepted]]:
        """The state with what was accepted so far, and the rows that the head does not have yet."""
        with self._lock:
            rows = self._rows.copy()
            state = replace(self.before, rows=rows, account=self._moved(rows), deduplicated=self._deduplicated)
            return state, list(self._new)

    def confirmed(self, state: FileState, accepted: Sequence[Accepted]) -> None:
        """Notes that the head has this state now, and the ids of these rows."""
        with self._lock:
            self.before = state
            del self._new[: len(accepted)]

    def ended(self, pages: Sequence[str]) -> tuple[FileState, list[Accepted]]:
        """The state of the file once it is through, and the rows that the head does not have yet.

        ``pages`` are those with its letters.
        """
        state, accepted = self.news()
        if self.fault:
            # A redrive finds that the rest of a file that is done can't be read: it stays done.
            fate = state.fate if self.asked is not None else "failed"
            told = replace(state, fate=fate, reason=str(self.fault), letters=tuple(pages), settings=self.settings)
            return told, accepted
        account = Account()
        if self.asked is not None:
            account.add(self._without_letters(state))
        account.add(self.outcome)
        if state.deduplicated:
            account.notes[DEDUPLICATED] = state.deduplicated
        told = replace(state, fate="done", account=account, reason="", letters=tuple(pages), settings="")
        return told, accepted

    def close(self) -> None:
        """Frees what the file takes on disk. No letters may be added after that."""
        self.letters.close()

    def _moved(self, rows: RowSet) -> Account | None:
        """The account of a file that is done, with the dead letters that were accepted since among the sent rows."""
        if self.asked is None or self.before.account is None:
            return self.before.account
        account = Account()
        account.add(self.before.account)
        for (event_type, _), asked in self.asked.items():
            went = asked.common(rows) - asked.common(self.before.rows)
            moved = Counts(sent=went, dead_lettered=-went)
            account.event_types[event_type] = account.of(event_type) + moved
        if self._deduplicated:
            account.notes[DEDUPLICATED] = self._deduplicated
        return account

    def _without_letters(self, state: FileState) -> Account:
        """The account of a file that is done, without the rows of the letters that were sent again."""
        account = Account()
        account.add(state.account or Account())
        for (event_type, _), asked in (self.asked or {}).items():
            went = asked.common(state.rows)
            left = Counts(read=-len(asked), sent=-went, dead_lettered=went - len(asked))
            account.event_types[event_type] = account.of(event_type) + left
        return account


def rows_to_deliver(opened: OpenFile, batch: Batch, mode: Mode) -> Iterator[tuple[Mode, Batch]]:
    """The rows of a batch to deliver, by how they are marked: all as ``mode`` says, or letters as they were."""
    if opened.asked is None:
        yield mode, batch
        return
    rows = batch.frame.index.to_numpy()
    for each in dict.fromkeys(mode for _, mode in opened.asked):
        wanted = np.zeros(len(rows), bool)
        for (_, of_mode), asked in opened.asked.items():
            wanted |= asked.mask(rows) if of_mode == each else False
        if wanted.any():
            yield each, batch._replace(frame=batch.frame[wanted])
