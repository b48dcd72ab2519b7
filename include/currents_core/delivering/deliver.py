"""Delivers the slices of a shard: claim → read → prepare → send → judge → checkpoint → settle.

Several threads work at the same time. Some claim slices and download files ahead of their turn. The caller's thread
reads the files in order, prepares their rows, and sends. Twice a second, the beat has the head of each slice replaced
by one that says what was accepted and which files are through.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from currents_core.books.account import Account
from currents_core.books.dead_letter import DeadLetter, Letter
from currents_core.books.head import FileState
from currents_core.books.ledger import Ledger
from currents_core.counted import counted
from currents_core.crew import Crew, Threads
from currents_core.delivering.claim_checks import Cloakroom
from currents_core.delivering.confirm import Confirmer
from currents_core.delivering.fetch import Fetched, Fetcher, Wait, Work
from currents_core.delivering.file_fault import fault_of_file
from currents_core.delivering.keep import BEAT_SECONDS, Keeper
from currents_core.delivering.open_file import OpenFile, rows_to_deliver
from currents_core.delivering.open_slice import OpenSlice
from currents_core.delivering.park import park
from currents_core.delivering.prepare import Batched, Preparation
from currents_core.delivering.progress import Progress
from currents_core.delivering.take import Taker
from currents_core.entry import Entries, Span
from currents_core.errors import CurrentsError, DeliveryError, FileError, StoppedError, TransientError
from currents_core.file_key import Slice, SourceFile
from currents_core.mode import Mode
from currents_core.ports import ObjectStore, Sent, Target
from currents_core.reading.read import read
from currents_core.sending.figures import SendFigures
from currents_core.sending.pacer import Pacer
from currents_core.sending.retry import Backoff
from currents_core.sending.send import AT_RISK_SECONDS, Sender
from currents_core.sending.verdict import Refused
from currents_core.setup.settings import Connector
from currents_core.shaping.personal_data import PersonalData

log = logging.getLogger(__name__)

# A line of the log every five seconds.
_BEATS_PER_LINE = 10
# Of all tasks of a connector. EventBridge's control plane takes 50 requests a second of an account.
# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
_LOOKS_PER_SECOND = 10
# Longer than any wait that ends by itself: for the circuit, or for a slice that another task has.
_STILL_SECONDS = 1_200.0
# After which parts of the time to end in nobody waits for answers any more, and for looks that confirm them; the rest
# is to save what is known then.
_FOR_ANSWERS, _FOR_LOOKS = 0.6, 0.85


class _EnoughError(Exception):
    """The maximum number of events has been put."""


@dataclass
class Delivery:
    """Delivers slices of one connector, once.

    ``owner`` names the task in claims. After ``max_events`` the delivery ends in good order, and a later one completes
    the files that are still open. With ``wants_letter`` it sends dead letters again, those that this chooses, and no
    files. ``mode`` is how events are marked; letters keep theirs. A slice that another task has is waited for, or with
    ``waits`` off left to that task once it is seen to be alive. ``beat_seconds`` is the time between checkpoints.
    ``share`` sets the pace while there is something to send, as a ``Share`` does. ``tell`` is called with a line about
    the progress, every few seconds.
    """

    connector: Connector
    source: ObjectStore
    target: Target
    pacer: Pacer
    ledger: Ledger
    owner: str = "delivery"
    personal_data: PersonalData = field(default_factory=lambda: PersonalData(()))
    mode: Mode = "live"
    waits: bool = True
    max_events: int | None = None
    wants_letter: Callable[[Letter], bool] | None = None
    backoff: Backoff = field(default_factory=Backoff)
    crew: Crew = field(default_factory=Threads)
    share: AbstractContextManager[Any] = field(default_factory=nullcontext)
    beat_seconds: float = BEAT_SECONDS
    tell: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self._put = 0
        self._beats = count(1)
        self._account = Account()
        self._failures: list[str] = []
        # Those that are read, or wait for answers. Threads look at a copy.
        self._under_way: set[OpenFile] = set()
        has_checks = self.connector.oversized == "claim_check"
        self._preparation = Preparation(
            self.connector,
            self.target.limits,
            self.target.wire,
            self.personal_data,
            Cloakroom(self.ledger.store, self.ledger.layout, self.crew, self._pump) if has_checks else None,
        )
        self._keeper = Keeper(
            self.crew,
            park=self._park,
            settled=self._settled,
            fail=self._fail,
            on_beat=self._on_beat,
            beat_seconds=self.beat_seconds,
        )
        self._confirmer = Confirmer(
            self.crew,
            self.target.look,
            accept=self._accept,
            fail=self._fail,
            every=self.connector.budget.all_slots / _LOOKS_PER_SECOND,
        )
        self._sender = Sender(
            self.target,
            self.pacer,
            acknowledge=self._confirmer.accept,
            refuse=self._refuse,
            backoff=self.backoff,
            hold=lambda: self._keeper.hold() or self._confirmer.hold(),
            unsaved=self._keeper.unsaved,
            at_risk=AT_RISK_SECONDS + self._confirmer.at_once,
            crew=self.crew,
        )

    def deliver(self, work: Mapping[Slice, Sequence[SourceFile]], new: Set[Slice] = frozenset()) -> Account:
        """Delivers every file of the slices that is not done yet, and returns the account of these.

        Those that are ``new`` had not begun when somebody looked; what there is by now counts all the same.

        A file that can't be read is recorded as failed and does not hold up the others; DeliveryError is raised at the
        end. Any other fault ends the delivery: it waits for requests in flight, saves what was accepted, and raises the
        fault. So a rerun sends nothing twice.
        """
        files = [file for each in work.values() for file in each]
        self._progress = Progress(len(files), sum(file.size for file in files), self.crew.seconds)
        fetcher = Fetcher(
            source=self.source,
            taker=Taker(
                self.source,
                self.ledger,
                self.owner,
                self.crew,
                new,
                self.wants_letter,
                self.connector.fingerprint,
                self.connector.source.prefix,
            ),
            crew=self.crew,
            taken=self._taken,
            meanwhile=self._sender.pump,
            check=self._sender.check,
        )
        # The sender ends first, so that the last answers are saved when the slices are given back.
        share, confirmer = (self.share, self._confirmer) if work else (nullcontext(), nullcontext())
        with share, self._keeper, confirmer, self._sender:
            try:
                self._send_all(fetcher, work.items())
                left = [each for each in work.items() if each[0] in fetcher.left]
                if self.waits:
                    for each in left:
                        # Whoever waits for a slice must have no other that somebody may wait for.
                        self._send_all(fetcher, [each], "until through")
                elif left:
                    # Who died, such as an earlier try of this very task, delivers nothing that is left to it.
                    self._send_all(fetcher, left, "until alive")
                    for place, holder in fetcher.left.items():
                        log.info("%s is left to %s, which is at it", place.name, holder.owner)
            except _EnoughError:
                most = counted(self._put, "event")
                log.info("%s: reached the maximum of %s; a later run delivers the rest", self.connector.name, most)
                self._sender.drain()
                self._confirmer.drain(self._sender.check)
        self._log_line()
        if self._failures:
            raise DeliveryError(
                f"{self.connector.name}: {counted(len(self._failures), 'file')} can't be read, all others are "
                f"delivered: {'; '.join(self._failures[:5])}"
            )
        self._account.notes.update(self.figures.notes())
        return self._account

    @property
    def figures(self) -> SendFigures:
        """The figures of sending so far."""
        return self._sender.figures

    def stop(self, within: float = 5.0) -> None:
        """Asks the delivery to end in good order ``within`` seconds. Not for signal handlers: it takes a lock."""
        self._keeper.hurry()
        self._sender.hurry(within * _FOR_ANSWERS)
        self._confirmer.hurry(within * _FOR_LOOKS)
        self._sender.fail(StoppedError(f"{self.connector.name}: told to stop; clear the task to resume"))

    def _pump(self, seconds: float) -> None:
        self._sender.pump(seconds)

    def _fail(self, error: CurrentsError) -> None:
        self._sender.fail(error)

    def _send_all(self, fetcher: Fetcher, work: Iterable[Work], wait: Wait = "no") -> None:
        with closing(fetcher.fetch(work, wait)) as fetching:
            for fetched in fetching:
                self._take_in(fetched)
        self._sender.drain()
        self._confirmer.drain(self._sender.check)
        self._keeper.finish(self._sender.check)

    def _taken(self, opened: OpenSlice) -> None:
        self._keeper.add(opened)
        for file in opened.skipped:
            self._progress.file_done(file.size)
        if opened.skipped:
            log.info("%s: %s delivered before", opened.place.name, counted(len(opened.skipped), "file"))
        for each in opened.todo:
            if each.asked is None and (rows := len(each.before.rows)):
                log.info("%s: resumes where it left off, skipping %s already sent", each.file.uri, counted(rows, "row"))

    def _take_in(self, fetched: Fetched) -> None:
        opened, file, body = fetched
        if file is None:
            if opened.end():
                self._keeper.finish_soon(opened)
            return
        opened.add(file)
        self._under_way.add(file)
        fault = file.fault
        if body is not None:
            with body:
                try:
                    for entries in self._prepared(opened, file, Path(f"/dev/fd/{body.fileno()}")):
                        self._sender.put(self._of_those_asked_for(entries))
                except FileError as error:
                    fault = error
        file.end(fault)

    def _prepared(self, opened: OpenSlice, file: OpenFile, path: Path) -> Iterator[Entries]:
        """The entries of a file. Raises FileError for whatever is wrong with it, and other errors for what is not."""
        try:
            contents = read(path, file.file.uri)
            file_type = file.file.event_type or contents.event_type
            file.rows = contents.rows
            for batch in contents.batches:
                for mode, part in rows_to_deliver(file, batch, self.mode):
                    yield from self._preparation.entries(file, opened.seen, file_type, part, mode)
                file.rows_read += len(batch.frame)
                self._progress.rows_read += len(batch.frame)
        except Exception as error:
            raise fault_of_file(error, file.file.uri) from error

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

    def _accept(self, span: Span, result: Sent) -> None:
        batched, rows = _batched(span), span.rows
        deduplicated = len(rows) if result.is_deduplicated else 0
        batched.opened.accept(rows, batched.prints[span.start : span.stop], deduplicated)

    def _refuse(self, refused: Refused) -> None:
        [entry], batched = refused.span, _batched(refused.span)
        first_try = datetime.fromtimestamp(refused.first_try, UTC)
        letter = DeadLetter(
            entry.row, entry.detail_type, refused.code, refused.reason, entry, refused.attempts, first_try
        )
        [with_record] = self._preparation.records(batched.frame, [letter])
        batched.opened.refuse(with_record)

    def _park(self, opened: OpenSlice, files: Sequence[OpenFile]) -> Mapping[str, tuple[str, ...]]:
        return park(opened.claim, files, self.mode, self.crew.now())

    def _settled(self, file: OpenFile, state: FileState) -> None:
        self._under_way.discard(file)
        self._progress.file_done(file.file.size)
        if file.fault:
            log.error("%s: %s", self.connector.name, file.fault)
            self._failures.append(str(file.fault))
        else:
            log.debug("%s: %s: %s", self.connector.name, file.file.uri, state.account and state.account.totals)
            self._account.add(file.outcome)

    def _on_beat(self) -> None:
        self._confirmer.on_beat()
        if self._progress.stands_still(self.figures) > _STILL_SECONDS:
            # Whatever it is that can't happen: nobody would look at a task that is green and holds its slices for ever.
            minutes = f"{_STILL_SECONDS / 60:.0f} minutes"
            self._fail(
                TransientError(
                    f"{self.connector.name}: nothing has moved for {minutes}; clear the task to resume, and report this"
                )
            )
        if next(self._beats) % _BEATS_PER_LINE == 0:
            self._log_line()

    def _log_line(self) -> None:
        begun = sum(file.bytes_settled for file in [*self._under_way])
        line = self._progress.line(self.figures, self.pacer.pace, begun)
        self.tell(line)
        log.info("%s: %s", self.connector.name, line)


def _batched(span: Span) -> Batched:
    origin = span.entries.origin
    assert isinstance(origin, Batched), "only prepared entries are sent"
    return origin
