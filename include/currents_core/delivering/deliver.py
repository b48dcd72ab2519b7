"""Delivers the files of a shard: claim → read → prepare → send → acknowledge → checkpoint → settle.

Threads work side by side: some claim and download files ahead; the caller's reads and prepares them, in order, and
sends; some settle files that are through; and once a second the beat saves how far each file is.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from typing import IO

from currents_core.books.account import Account, total
from currents_core.books.dead_letter import DeadLetter, DeadLetters
from currents_core.books.ledger import Ledger
from currents_core.books.seen_ids import DeliveredIds, SeenIds
from currents_core.delivering.fetch import Fetcher
from currents_core.delivering.open_file import OpenFile
from currents_core.delivering.prepare import Preparation
from currents_core.delivering.progress import Progress
from currents_core.delivering.settle import Settlement
from currents_core.entry import Entries, Span
from currents_core.errors import CurrentsError, DeliveryError, FencedError, FileError, StoppedError, TransientError
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

_BEAT_SECONDS = 1.0
_BEATS_PER_LINE = 5
_SETTLERS = 8


class _EnoughError(Exception):
    """As many events were put as are to be sent."""


@dataclass
class Delivery:
    """Delivers files of one connector, once. ``owner`` names the task in leases; ``clock`` tells the time of day.

    After ``max_events`` it ends in good order, with files that a later delivery completes. ``rows_of`` tells which rows
    of a file are to be delivered, as if there were no others.
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
    beat_seconds: float = _BEAT_SECONDS

    def __post_init__(self) -> None:
        self._open: dict[str, OpenFile] = {}
        self._settling: list[Future[None]] = []
        self._done: dict[str, set[str]] = {}
        self._seen: dict[tuple[str, str], SeenIds] = {}
        self._put = 0
        self._ended = Event()
        self._lock = Lock()
        self._sender = Sender(
            self.target, self.pacer, acknowledge=self._acknowledge, refuse=self._refuse, backoff=self.backoff
        )
        self._preparation = Preparation(self.connector, self._ids_of, self.target.limits, self.personal_data, self.mode)
        self._settlement = Settlement(
            self.connector.name,
            self.source,
            self.ledger,
            self.dead_letters,
            self.delivered_ids,
            self._preparation,
            self.clock,
        )

    def deliver(self, files: Sequence[SourceFile]) -> Account:
        """Delivers every file that the ledger does not hold yet, and returns the account of those.

        A file that can't be read is recorded as failed and does not keep the others: DeliveryError is raised at the
        end. Any other fault ends the delivery: what is under way is waited for, and how far each file came is saved,
        so that a rerun sends nothing twice.
        """
        self._done = {hour: self.ledger.done(hour) for hour in {file.hour for file in files}}
        self._progress = Progress(len(files), sum(file.size for file in files))
        open_files = []
        for file in files:
            if file.id in self._done[file.hour]:
                self._progress.file_done(file.size)
            else:
                open_files.append(file)
        with ThreadPoolExecutor(_SETTLERS, thread_name_prefix="settle") as self._settlers:
            beat = Thread(target=self._beat, name="beat", daemon=True)
            try:
                with self._sender:
                    beat.start()
                    self._send_all(open_files)
            finally:
                self._ended.set()
                beat.join()
                self._release()
        self._log_line()
        if failures := self._settlement.failures:
            raise DeliveryError(
                f"{self.connector.name}: files that can't be read: {len(failures)}, every other one is "
                f"delivered: {'; '.join(failures[:5])}"
            )
        account = total(self._settlement.accounts)
        account.notes.update(self.figures.notes())
        return account

    @property
    def figures(self) -> SendFigures:
        """What the sending came to so far."""
        return self._sender.figures

    def stop(self) -> None:
        """Asks the delivery to end as soon as it can, in good order. May be called by a signal handler."""
        self._sender.fail(StoppedError(f"{self.connector.name}: told to stop; clear the task to resume"))

    def _send_all(self, files: Sequence[SourceFile]) -> None:
        fetcher = Fetcher(
            source=self.source,
            ledger=self.ledger,
            owner=self.owner,
            opened=self._opened,
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
                        self._forget_ids(file.hour)
            except _EnoughError:
                log.info("%s: %d events are sent, as many as were asked for", self.connector.name, self._put)
            except BaseException:
                # What waits for a lease must see that there is nothing to wait for.
                self.stop()
                raise
        self._sender.drain()
        wait(self._settling)
        self._sender.check()

    def _opened(self, opened: OpenFile) -> None:
        with self._lock:
            self._open[opened.file.arn] = opened

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
            self._settle_soon(opened)

    def _put_entries(self, opened: OpenFile, path: Path) -> None:
        contents = read(path, opened.file.uri)
        file_type = opened.file.event_type or contents.event_type
        wanted = self.rows_of(opened.file) if self.rows_of else None
        for frame in contents.batches:
            rows = frame if wanted is None else frame[frame.index.isin(wanted)]
            for entries in self._preparation.entries(opened, file_type, rows):
                self._sender.put(self._of_those_asked_for(entries))
            self._progress.rows_read += len(frame)

    def _of_those_asked_for(self, entries: Entries) -> Entries:
        """Raises _EnoughError, after the last entry that is to be sent."""
        if self.max_events is None or self._put + len(entries) <= self.max_events:
            self._put += len(entries)
            return entries
        rest = self.max_events - self._put
        if rest:
            self._put += rest
            self._sender.put(entries.first(rest))
        raise _EnoughError

    def _ids_of(self, hour: str, event_type: str) -> SeenIds:
        place = (hour, event_type)
        if place not in self._seen:
            self._seen[place] = self.delivered_ids.read(*place, self._done[hour])
        return self._seen[place]

    def _forget_ids(self, hour: str) -> None:
        """Lets go of an hour's ids when all of its files are read, or a task of many hours would hold them all."""
        self._seen = {place: ids for place, ids in self._seen.items() if place[0] != hour}

    def _acknowledge(self, span: Span) -> None:
        opened = self._open[span.entries.resource]
        if opened.acknowledge(span.rows):
            self._settle_soon(opened)

    def _refuse(self, refused: Refused) -> None:
        entry = refused.entry
        first_try = datetime.fromtimestamp(refused.first_try, UTC)
        letter = DeadLetter(
            entry.row, entry.detail_type, refused.code, refused.reason, entry, refused.attempts, first_try
        )
        opened = self._open[entry.resource]
        if opened.refuse(letter):
            self._settle_soon(opened)

    def _settle_soon(self, opened: OpenFile) -> None:
        self._settling.append(self._settlers.submit(self._guarded, self._settle, opened))

    def _guarded(self, step: Callable[[OpenFile], None], opened: OpenFile) -> None:
        """Runs a step on a file; a fault ends the delivery, in the thread that waits for it."""
        try:
            step(opened)
        except CurrentsError as error:
            self._sender.fail(error)
        except Exception as error:
            log.exception("%s: settling broke", opened.file.uri)
            self._sender.fail(CurrentsError(f"{opened.file.uri}: {error!r}; please report this"))

    def _settle(self, opened: OpenFile) -> None:
        with opened.saving:
            self._settlement.settle(opened)
            with self._lock:
                del self._open[opened.file.arn]
        self._progress.file_done(opened.file.size)

    def _beat(self) -> None:
        beats = 0
        while not self._ended.wait(self.beat_seconds):
            beats += 1
            self._save()
            if beats % _BEATS_PER_LINE == 0:
                self._log_line()

    def _save(self) -> None:
        self._with_each_open(partial(self._guarded, self._checkpoint), self._is_due)

    def _is_due(self, opened: OpenFile) -> bool:
        left = opened.lease.expires_at - self.clock()
        return left < self.ledger.lease / 2 or len(opened.rows) > len(opened.lease.rows)

    def _checkpoint(self, opened: OpenFile) -> None:
        """Saves how far a file is. One that fails is made up for by the next, as long as the lease lasts."""
        try:
            self.ledger.checkpoint(opened.lease, opened.progress(), self.clock())
        except FencedError:
            raise
        except TransientError as error:
            if opened.lease.expires_at - self.clock() < self.ledger.lease / 3:
                raise
            log.warning("%s: the checkpoint is late: %s", opened.file.uri, error)

    def _release(self) -> None:
        """Saves the files that are not through, and gives their leases back, so that a rerun need not wait."""
        self._with_each_open(self._give_back)

    def _give_back(self, opened: OpenFile) -> None:
        try:
            self.ledger.checkpoint(opened.lease, opened.progress(), self.clock(), release=True)
        except CurrentsError as error:
            log.warning("%s: could not be saved: %s", opened.file.uri, error)

    def _with_each_open(
        self, step: Callable[[OpenFile], None], chosen: Callable[[OpenFile], bool] = lambda _: True
    ) -> None:
        """Runs a step on the files that are not settled, several at a time, and waits for it."""
        with self._lock:
            opened = list(self._open.values())
        wait([self._settlers.submit(self._if_open, step, each) for each in opened if chosen(each)])

    def _if_open(self, step: Callable[[OpenFile], None], opened: OpenFile) -> None:
        with opened.saving:
            # It may have been settled while this waited for it.
            if opened.file.arn in self._open:
                step(opened)

    def _log_line(self) -> None:
        log.info("%s: %s", self.connector.name, self._progress.line(self.figures, self.pacer.pace))
