"""Delivers the files of a shard: read → normalise → encode → chunk → pace → send → settle."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

import pandas as pd
import pyarrow.compute as pc

from include.currents.account import Account
from include.currents.dead_letter import DeadLetter, DeadLetters
from include.currents.drift import drift
from include.currents.encode import encode
from include.currents.entry import Entry, entry_size
from include.currents.errors import CurrentsError, DeliveryError, FileError
from include.currents.file_key import SourceFile
from include.currents.filter import matching
from include.currents.ledger import Ledger
from include.currents.normalise import Events, arrow, by_event_type, normalise
from include.currents.personal_data import PersonalData
from include.currents.ports import ObjectStore
from include.currents.read import read
from include.currents.seen_ids import DeliveredIds, Fingerprints, SeenIds
from include.currents.send import Sender
from include.currents.settings import Connector

log = logging.getLogger(__name__)

_UNNAMED = "unnamed"


@dataclass
class Delivery:
    """Delivers files of one connector. ``clock`` gives the time that records carry."""

    connector: Connector
    source: ObjectStore
    sender: Sender
    bytes_per_entry: int
    ledger: Ledger
    dead_letters: DeadLetters
    delivered_ids: DeliveredIds
    personal_data: PersonalData = field(default_factory=lambda: PersonalData(()))
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _done: dict[str, set[str]] = field(default_factory=dict)
    _seen: dict[tuple[str, str], SeenIds] = field(default_factory=dict)
    _brought: defaultdict[str, list[Fingerprints]] = field(default_factory=lambda: defaultdict(list))

    def deliver(self, files: Sequence[SourceFile]) -> Account:
        """Delivers every file that the ledger does not hold yet, and returns the account of those.

        A file that can't be read is recorded as failed and does not keep the others: DeliveryError is raised at the
        end. TransientError and SetupError end the delivery at once; what is settled by then stays settled.
        """
        self._done = {hour: self.ledger.done(hour) for hour in {file.hour for file in files}}
        account, failures = Account(), []
        for number, file in enumerate(files, 1):
            if file.id in self._done[file.hour]:
                log.info("%s: %s is delivered already", self.connector.name, file.uri)
                continue
            try:
                delivered = self._deliver_file(file)
            except FileError as error:
                self.ledger.fail(file, str(error), self.clock())
                log.error("%s: %s", self.connector.name, error)
                failures.append(str(error))
                continue
            log.info("%s: file %d of %d, %s: %s", self.connector.name, number, len(files), file.uri, delivered.totals)
            account.add(delivered)
        if failures:
            raise DeliveryError(
                f"{self.connector.name}: files that can't be read: {len(failures)}, every other one is delivered: "
                + "; ".join(failures[:5])
            )
        return account

    def _deliver_file(self, file: SourceFile) -> Account:
        account, letters = Account(), list[DeadLetter]()
        self._brought.clear()
        with NamedTemporaryFile() as body:
            self.source.download(file.key, file.etag, body)
            body.flush()
            contents = read(Path(body.name), file.uri)
            file_type = file.event_type or contents.event_type
            for frame in contents.batches:
                letters += self._deliver_batch(file, file_type, frame, account)
        if not account.totals.balanced:
            raise CurrentsError(f"{file.uri}: the books do not balance ({account.totals}); please report this")
        self.dead_letters.write(file, letters, self.clock())
        for event_type, found in self._brought.items():
            self.delivered_ids.write(file, event_type, found)
        self.ledger.settle(file, account, self.clock())
        return account

    def _deliver_batch(
        self, file: SourceFile, file_type: str | None, frame: pd.DataFrame, account: Account
    ) -> list[DeadLetter]:
        letters: list[DeadLetter] = []
        for event_type, rows in by_event_type(frame, file_type):
            name = event_type or _UNNAMED
            counts = account.of(name)
            counts.read += len(rows)
            if event_type is None:
                dead = self._no_event_type(file, frame, rows)
            elif not self.connector.event_types.wants(event_type):
                counts.filtered += len(rows)
                continue
            else:
                dead = self._deliver_rows(file, event_type, rows, account)
            counts.dead_lettered += len(dead)
            letters += dead
        return letters

    def _no_event_type(self, file: SourceFile, frame: pd.DataFrame, rows: pd.DataFrame) -> list[DeadLetter]:
        if "event_type" not in frame.columns:
            raise FileError(
                f"{file.uri}: neither a column event_type, nor the key, nor an Avro schema names the event type"
            )
        reason = "event_type is missing, and no folder of the key names it"
        letters = [DeadLetter(row, _UNNAMED, "no_event_type", reason) for row in rows.index]
        return [self._with_record(letter, rows) for letter in letters]

    def _deliver_rows(
        self, file: SourceFile, event_type: str, rows: pd.DataFrame, account: Account
    ) -> list[DeadLetter]:
        counts = account.of(event_type)
        account.differs(event_type, drift(rows, event_type))
        keep_broken = self.connector.broken_properties == "keep"
        normalised = normalise(rows, event_type, file.folders, keep_broken=keep_broken)
        account.notes.update(normalised.notes)
        wanted = matching(normalised.events, self.connector.filter)
        chosen = replace(normalised.events, frame=normalised.events.frame[wanted])
        counts.filtered += len(wanted) - len(chosen.frame)
        events = self._first_of_each_id(file, chosen)
        counts.duplicate += len(chosen.frame) - len(events.frame)
        entries = self._entries(file, self.personal_data.of_events(events), account)
        fitting = [entry for entry in entries if entry.size <= self.bytes_per_entry]
        refused = self.sender.send(fitting)
        counts.sent += len(fitting) - len(refused)
        letters = [
            *(DeadLetter(each.row, event_type, each.code, each.reason) for each in normalised.rejections),
            *(self._oversized(entry) for entry in entries if entry.size > self.bytes_per_entry),
            *(
                DeadLetter(each.entry.row, event_type, each.code, each.reason, each.entry, each.attempts)
                for each in refused
            ),
        ]
        return [self._with_record(letter, rows) for letter in letters]

    def _first_of_each_id(self, file: SourceFile, events: Events) -> Events:
        """Drops the events whose id was seen before under the same event type and hour, in whichever file or run."""
        place = (file.hour, events.event_type)
        if place not in self._seen:
            self._seen[place] = self.delivered_ids.read(*place, self._done[file.hour])
        new, brought = self._seen[place].take_new(arrow(events.frame["id"]))
        self._brought[events.event_type].append(brought)
        return events if new.all() else replace(events, frame=events.frame[new])

    def _entries(self, file: SourceFile, events: Events, account: Account) -> list[Entry]:
        details = encode(events, account.notes)
        source = self.connector.destination.source
        rest = entry_size(source, events.event_type, 0, file.arn)
        columns = zip(
            events.frame.index,
            details.to_pylist(),
            events.frame["time"].tolist(),
            pc.binary_length(details).to_pylist(),
            strict=True,
        )
        return [
            Entry(row, source, events.event_type, detail, when, file.arn, rest + size)
            for row, detail, when, size in columns
        ]

    def _oversized(self, entry: Entry) -> DeadLetter:
        reason = f"the entry has {entry.size} bytes, the limit is {self.bytes_per_entry}"
        return DeadLetter(entry.row, entry.detail_type, "oversized", reason, entry)

    def _with_record(self, letter: DeadLetter, rows: pd.DataFrame) -> DeadLetter:
        """The letter with its row as it was read, but for personal data."""
        row = {str(name): None if value is pd.NA else value for name, value in rows.loc[letter.row].items()}
        return replace(letter, record=self.personal_data.of_record(letter.event_type, row))
