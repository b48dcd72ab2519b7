"""A file that is being delivered: its lease, what became of its rows so far, and whether it is through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import numpy.typing as npt

from currents_core.books.account import Account
from currents_core.books.dead_letter import DeadLetter
from currents_core.books.ledger import Lease
from currents_core.books.row_set import RowSet
from currents_core.books.seen_ids import Fingerprints
from currents_core.delivering.spool import Spool
from currents_core.errors import FileError
from currents_core.file_key import SourceFile


@dataclass
class OpenFile:
    """The state of one open file. One thread sends the file and another saves it, hence the lock.

    ``arn`` is the ARN of the object, which its entries carry. ``rows`` are the rows that need no more sending;
    ``sent_before`` are those that already were so in the lease. ``parked`` has the dead letters of rows that could not
    become entries, ``refused`` those of entries that the destination refused. ``brought`` has the fingerprints of the
    ids that the file brought, by event type: arrays of uint64 of shape (ids, 2). ``fault`` says why the file can't be
    read to its end.
    """

    lease: Lease
    arn: str
    account: Account = field(default_factory=Account)
    parked: Spool = field(default_factory=Spool)
    refused: Spool = field(default_factory=Spool)
    brought: dict[str, list[Fingerprints]] = field(default_factory=dict)
    fault: FileError | None = None
    rows: RowSet = field(init=False)
    sent_before: RowSet = field(init=False)
    # Held by the thread that writes the file's records, so that only one does.
    saving: Lock = field(default_factory=Lock)
    _waiting: int = 0
    _is_read: bool = False
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.sent_before = self.lease.rows
        self.rows = RowSet(self.lease.rows.ranges)

    @property
    def file(self) -> SourceFile:
        """The file that the lease is for."""
        return self.lease.file

    def expect(self, entries: int, done: npt.NDArray[np.int64]) -> None:
        """Notes that ``entries`` entries are about to be sent, and that the rows in ``done`` need no sending.

        ``done`` is an array of row numbers (int64) in ascending order.
        """
        with self._lock:
            self._waiting += entries
            self.rows.add_rows(done)

    def acknowledge(self, rows: Sequence[int]) -> bool:
        """Notes accepted rows, at least one, in ascending order. Returns whether the file is now through."""
        with self._lock:
            if rows[-1] - rows[0] == len(rows) - 1:
                self.rows.add(rows[0], rows[-1] + 1)
            else:
                self.rows.add_rows(sorted(rows))
            self._waiting -= len(rows)
            return self._is_through()

    def refuse(self, letter: DeadLetter) -> bool:
        """Notes the letter of a row that was refused for good. Returns whether the file is now through.

        The row stays open until the file is settled: a task that resumes the file sends it again, and parks it.
        """
        with self._lock:
            self.refused.add(letter)
            self._waiting -= 1
            return self._is_through()

    def end(self, fault: FileError | None = None) -> bool:
        """Notes that no more rows come, with the fault if that is early. Returns whether the file is now through."""
        with self._lock:
            self.fault = fault
            self._is_read = True
            return self._is_through()

    def progress(self) -> RowSet:
        """A copy of the rows that need no more sending."""
        with self._lock:
            return RowSet(self.rows.ranges)

    def close_books(self) -> Account:
        """The account of the whole file. Call it once, when the file is through."""
        for event_type, letters in self.refused.event_types.items():
            self.account.of(event_type).sent -= letters
        for event_type, letters in (self.parked.event_types + self.refused.event_types).items():
            self.account.of(event_type).dead_lettered += letters
        return self.account

    def close(self) -> None:
        """Frees what the file takes on disk. No letters may be added after that."""
        self.parked.close()
        self.refused.close()

    def _is_through(self) -> bool:
        return self._is_read and self._waiting == 0
