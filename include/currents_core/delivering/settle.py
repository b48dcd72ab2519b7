"""Settles files that are through: parks their dead letters, stores their ids, and only then records them as done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Lock

from currents_core.books.account import Account
from currents_core.books.dead_letter import DeadLetter, DeadLetters
from currents_core.books.ledger import Ledger
from currents_core.books.seen_ids import DeliveredIds
from currents_core.delivering.open_file import OpenFile
from currents_core.delivering.prepare import Preparation
from currents_core.errors import CurrentsError
from currents_core.ports import ObjectStore
from currents_core.reading.read import read

log = logging.getLogger(__name__)


@dataclass
class Settlement:
    """Settles the files of one delivery: ``account`` is that of done files, ``failures`` says why others failed.

    ``clock`` gives the current time as an aware datetime.
    """

    source: ObjectStore
    ledger: Ledger
    dead_letters: DeadLetters
    delivered_ids: DeliveredIds
    preparation: Preparation
    clock: Callable[[], datetime]
    account: Account = field(default_factory=Account)
    failures: list[str] = field(default_factory=list)
    _reading: Lock = field(default_factory=Lock)

    def settle(self, opened: OpenFile) -> None:
        """Records a file as done, or as failed if it could not be read to its end.

        Raises FencedError if another task has taken it over, and CurrentsError if its books don't balance.
        """
        if opened.fault:
            self._fail(opened, str(opened.fault))
        else:
            self._close(opened)
        opened.close()

    def _fail(self, opened: OpenFile, reason: str) -> None:
        self.ledger.checkpoint(opened.lease, opened.progress(), self.clock(), release=True)
        self.ledger.fail(opened.file, reason, self.clock())
        log.error("%s: %s", self.preparation.connector.name, reason)
        self.failures.append(reason)

    def _close(self, opened: OpenFile) -> None:
        file, account = opened.file, opened.close_books()
        if not account.totals.balanced:
            raise CurrentsError(f"the books don't balance ({account.totals}); please report this", uri=file.uri)
        self._hold(opened)
        if opened.parked or opened.refused:
            letters = merge(opened.parked, self._with_records(opened), key=lambda letter: letter.row)
            self.dead_letters.write(file, letters, self.clock(), self.preparation.mode)
        elif opened.lease.resumed:
            self.dead_letters.remove(file)
        for event_type, prints in opened.brought.items():
            self.delivered_ids.write(file, event_type, prints)
        self.ledger.settle(opened.lease, account, self.clock())
        log.debug("%s: %s: %s", self.preparation.connector.name, file.uri, account.totals)
        self.account.add(account)

    def _hold(self, opened: OpenFile) -> None:
        """Renews the lease if settling might outlast it. Raises FencedError if it is lost."""
        if opened.lease.expires_at - self.clock() < self.ledger.lease / 2:
            self.ledger.checkpoint(opened.lease, opened.progress(), self.clock())

    def _with_records(self, opened: OpenFile) -> Iterator[DeadLetter]:
        """The letters of refused entries with their records. Their batches are gone, so the file is read once more."""
        if not opened.refused:
            return
        # One at a time, since a file in work may take much memory.
        with self._reading, NamedTemporaryFile() as body:
            self.source.download(opened.file.key, opened.file.etag, body)
            body.flush()
            for frame, _ in read(Path(body.name), opened.file.uri).batches:
                letters = sorted(opened.refused.of(frame.index), key=lambda letter: letter.row)
                yield from self.preparation.records(frame, letters)
