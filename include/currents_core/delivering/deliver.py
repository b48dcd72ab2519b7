"""Delivers the files of a shard: claim → read → prepare → send → acknowledge → checkpoint → settle.

Several threads work at the same time. Some claim and download files ahead of their turn. The caller's thread reads the
files in order, prepares their rows, and sends. Others settle files that are through. Once a second, the beat saves how
far each file has got.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from traceback import walk_tb
from typing import IO

from currents_core.books.account import Account
from currents_core.books.dead_letter import DeadLetter, DeadLetters
from currents_core.books.ledger import Ledger
from currents_core.books.seen_ids import DeliveredIds, KnownIds
from currents_core.counted import counted
from currents_core.delivering.fetch import Fetcher
from currents_core.delivering.keep import BEAT_SECONDS, Keeper
from currents_core.delivering.open_file import OpenFile
from currents_core.delivering.prepare import Preparation
from currents_core.delivering.progress import Progress
from currents_core.delivering.settle import Settlement
from currents_core.entry import Entries, Span
from currents_core.errors import (
    CurrentsError,
    DeliveryError,
    FileError,
    StoppedError,
    is_of_the_machine,
    lack_of_machine,
)
from currents_core.file_key import SourceFile
from currents_core.mode import Mode
from currents_core.ports import ObjectStore, Target
from currents_core.reading.read import read
from currents_core.sending.figures import SendFigures
from currents_core.sending.pacer import Pacer
from currents_core.sending.retry import Backoff
from currents_core.sending.send import Sender
from currents_core.sending.verdict import Refused
from currents_core.setup.settings import Connector
from currents_core.shaping.personal_data import PersonalData

log = logging.getLogger(__name__)

_BEATS_PER_LINE = 5


class _EnoughError(Exception):
    """The maximum number of events has been put."""


@dataclass
class Delivery:
    """Delivers files of one connector, once.

    ``owner`` names the task in leases. After ``max_events`` the delivery ends in good order, and a later one completes
    the files that are still open. ``rows_of`` gives the numbers of the rows of a file to deliver, as if the file had no
    others. ``clock`` gives the current time as an aware datetime. ``beat_seconds`` is the time between checkpoints.
    """

    connector: Connector
    source: ObjectStore
    target: Target
    pacer: Pacer
    ledger: Ledger
    dead_letters: DeadLetters
    delivered_ids: DeliveredIds
    owner: str = "delivery"
    personal_data: PersonalData = field(default_factory=lambda: PersonalData(()))
    mode: Mode = "live"
    max_events: int | None = None
    rows_of: Callable[[SourceFile], Collection[int]] | None = None
    backoff: Backoff = field(default_factory=Backoff)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    beat_seconds: float = BEAT_SECONDS

    def __post_init__(self) -> None:
        self._put = 0
        self._beats = count(1)
        self._known_ids = KnownIds(self.delivered_ids)
        self._sender = Sender(
            self.target, self.pacer, acknowledge=self._acknowledge, refuse=self._refuse, backoff=self.backoff
        )
        self._preparation = Preparation(
            self.connector, self._known_ids.of, self.target.limits, self.personal_data, self.mode
        )
        self._settlement = Settlement(
            self.source, self.ledger, self.dead_letters, self.delivered_ids, self._preparation, self.clock
        )
        self._keeper = Keeper(
            self.ledger,
            settle=self._settle,
            fail=self._sender.fail,
            on_beat=self._on_beat,
            clock=self.clock,
            beat_seconds=self.beat_seconds,
        )

    def deliver(self, files: Sequence[SourceFile]) -> Account:
        """Delivers every file that the ledger does not have as done yet, and returns the account of these.

        A file that can't be read is recorded as failed and does not hold up the others; DeliveryError is raised at the
        end. Any other fault ends the delivery: it waits for requests in flight, saves how far each file has got, and
        raises the fault. So a rerun sends nothing twice.
        """
        done = {hour: self.ledger.done(hour) for hour in {file.hour for file in files}}
        self._known_ids.files = done
        self._progress = Progress(len(files), sum(file.size for file in files))
        open_files = []
        for file in files:
            if file.id in done[file.hour]:
                self._progress.file_done(file.size)
            else:
                open_files.append(file)
        # The sender ends first, so that the last answers are saved when the files are given back.
        with self._keeper, self._sender:
            self._send_all(open_files)
        self._log_line()
        if failures := self._settlement.failures:
            raise DeliveryError(
                f"{self.connector.name}: {counted(len(failures), 'file')} can't be read, all others are delivered: "
                f"{'; '.join(failures[:5])}"
            )
        account = self._settlement.account
        account.notes.update(self.figures.notes())
        return account

    @property
    def figures(self) -> SendFigures:
        """The figures of sending so far."""
        return self._sender.figures

    def stop(self) -> None:
        """Asks the delivery to end as soon as it can, in good order. A signal handler may call it."""
        self._sender.fail(StoppedError(f"{self.connector.name}: told to stop; clear the task to resume"))

    def _send_all(self, files: Sequence[SourceFile]) -> None:
        fetcher = Fetcher(
            source=self.source,
            ledger=self.ledger,
            owner=self.owner,
            opened=self._keeper.add,
            meanwhile=self._sender.pump,
            check=self._sender.check,
            clock=self.clock,
            sleep=self.sleep,
        )
        unread = Counter(file.hour for file in files)
        with closing(fetcher.fetch(files)) as fetched:
            try:
                for file, opened, body in fetched:
                    if opened is None:
                        self._progress.file_done(file.size)
                    else:
                        self._read(opened, body)
                    unread[file.hour] -= 1
                    if not unread[file.hour]:
                        self._known_ids.forget(file.hour)
            except _EnoughError:
                most = counted(self._put, "event")
                log.info("%s: reached the maximum of %s; a later run delivers the rest", self.connector.name, most)
            except BaseException:
                # A thread that waits for a lease must notice that it waits for nothing.
                self.stop()
                raise
        self._sender.drain()
        self._keeper.wait()
        self._sender.check()

    def _read(self, opened: OpenFile, body: IO[bytes] | None) -> None:
        """Reads a file and hands its entries to the sender."""
        fault = opened.fault
        if body is not None:
            with body:
                try:
                    self._put_entries(opened, Path(body.name))
                except FileError as error:
                    fault = error
        if opened.end(fault):
            self._keeper.settle_soon(opened)

    def _put_entries(self, opened: OpenFile, path: Path) -> None:
        for entries in self._prepared(opened, path):
            self._sender.put(self._of_those_asked_for(entries))

    def _prepared(self, opened: OpenFile, path: Path) -> Iterator[Entries]:
        """The entries of a file. Raises FileError for whatever is wrong with it, and other errors for what is not."""
        try:
            contents = read(path, opened.file.uri)
            file_type = opened.file.event_type or contents.event_type
            wanted = self.rows_of(opened.file) if self.rows_of else None
            for batch in contents.batches:
                frame = batch.frame if wanted is None else batch.frame[batch.frame.index.isin(wanted)]
                yield from self._preparation.entries(opened, file_type, batch._replace(frame=frame))
                self._progress.rows_read += len(batch.frame)
        except Exception as error:
            raise _fault_of_file(error, opened.file.uri) from error

    def _of_those_asked_for(self, entries: Entries) -> Entries:
        """The entries, if the maximum allows them all; else puts those that it allows and raises _EnoughError."""
        if self.max_events is None or self._put + len(entries) <= self.max_events:
            self._put += len(entries)
            return entries
        rest = self.max_events - self._put
        if rest:
            self._put += rest
            self._sender.put(entries.first(rest))
        raise _EnoughError

    def _acknowledge(self, span: Span) -> None:
        opened = self._keeper[span.entries.resource]
        if opened.acknowledge(span.rows):
            self._keeper.settle_soon(opened)

    def _refuse(self, refused: Refused) -> None:
        entry = refused.entry
        first_try = datetime.fromtimestamp(refused.first_try, UTC)
        letter = DeadLetter(
            entry.row, entry.detail_type, refused.code, refused.reason, entry, refused.attempts, first_try
        )
        opened = self._keeper[entry.resource]
        if opened.refuse(letter):
            self._keeper.settle_soon(opened)

    def _settle(self, opened: OpenFile) -> None:
        self._settlement.settle(opened)
        self._progress.file_done(opened.file.size)

    def _on_beat(self) -> None:
        if next(self._beats) % _BEATS_PER_LINE == 0:
            self._log_line()

    def _log_line(self) -> None:
        log.info("%s: %s", self.connector.name, self._progress.line(self.figures, self.pacer.pace))


def _fault_of_file(error: Exception, uri: str) -> Exception:
    """A FileError for whatever reading or preparing a file raised; other faults that are known stay as they are."""
    if isinstance(error, FileError) and not error.uri:
        return FileError(f"{error}; replace or remove it", uri=uri)
    if isinstance(error, CurrentsError):
        return error
    if is_of_the_machine(error):
        return lack_of_machine(error, uri)
    # Its own text may contain values from records.
    *_, (place, line) = walk_tb(error.__traceback__)
    what = f"{type(error).__name__} at {Path(place.f_code.co_filename).name}:{line}"
    return FileError(f"can't be read or prepared ({what}); replace or remove it", uri=uri)
