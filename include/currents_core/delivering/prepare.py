"""Turns the rows of a file into entries: normalize → filter → drop duplicates → personal data → encode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from currents_core.books.dead_letter import DeadLetter
from currents_core.books.seen_ids import SeenIds
from currents_core.delivering.open_file import OpenFile
from currents_core.entry import Entries, Span, entry_size
from currents_core.errors import FileError
from currents_core.file_key import SourceFile
from currents_core.limits import Limits
from currents_core.mode import Mode
from currents_core.reading.cost import COLUMNS_OF_TYPES, EVENT_TYPES, require
from currents_core.reading.read import Batch
from currents_core.setup.settings import Connector
from currents_core.shaping.columns import arrow
from currents_core.shaping.drift import drift
from currents_core.shaping.encode import encode
from currents_core.shaping.envelope import Events
from currents_core.shaping.filter import matching
from currents_core.shaping.json_text import nested_bytes
from currents_core.shaping.marking import marked
from currents_core.shaping.normalise import MISSING, NoType, by_event_type, normalise
from currents_core.shaping.personal_data import PersonalData

_UNNAMED = "unnamed"
_OVERSIZED = ("oversized_row", "the row is several times as large as EventBridge takes; its long values are left out")


@dataclass
class Preparation:
    """Prepares the rows of the files of one connector.

    ``seen`` gives the ids seen before of an hour and event type. ``limits`` are those of the destination.
    """

    connector: Connector
    seen: Callable[[str, str], SeenIds]
    limits: Limits
    personal_data: PersonalData = field(default_factory=lambda: PersonalData(()))
    mode: Mode = "live"

    def entries(self, opened: OpenFile, file_type: str | None, batch: Batch) -> list[Entries]:
        """The entries to send of a batch, per event type; what became of all other rows is noted in ``opened``.

        ``file_type`` is the event type that the key or the schema names, if any. Raises FileError if nothing names the
        event types of the file, or if it has too many.
        """
        prepared: list[Entries] = []
        frame, parked_before = batch.frame, len(opened.parked)
        for event_type, rows in by_event_type(frame, file_type):
            counts = opened.account.of(_UNNAMED if isinstance(event_type, NoType) else event_type)
            counts.read += len(rows)
            types = len(opened.account.event_types)
            require("event types", types, EVENT_TYPES)
            require("event types times columns", types * len(frame.columns), COLUMNS_OF_TYPES)
            if isinstance(event_type, NoType):
                self._require_event_type(opened.file, frame, event_type)
                letters = [DeadLetter(row, _UNNAMED, event_type.code, event_type.reason) for row in rows.index]
                self._park(opened, frame, letters, opened.account.personal_data)
            elif not self.connector.event_types.wants(event_type):
                counts.filtered += len(rows)
            elif batch.is_oversized:
                letters = [DeadLetter(row, event_type, *_OVERSIZED) for row in rows.index]
                self._park(opened, rows, letters, opened.account.personal_data)
            else:
                prepared.append(self._of_type(opened, event_type, rows))
        sent = np.concatenate([np.empty(0, np.int64), *(each.rows for each in prepared)])
        # Parked rows stay open until the file is settled, as refused ones do: whoever resumes parks them again.
        parked = opened.parked.rows_from(parked_before)
        done = np.setdiff1d(frame.index, np.concatenate([sent, parked]), assume_unique=True)
        opened.expect(len(sent), done)
        return [each for each in prepared if len(each)]

    def records(
        self, frame: pd.DataFrame, letters: Iterable[DeadLetter], hits: Counter[str] | None = None
    ) -> Iterator[DeadLetter]:
        """The letters, each with its row of ``frame`` as its record, after the rules for personal data.

        ``frame`` is that of a batch, with the rows of all ``letters``. ``hits`` counts what each rule dropped or
        replaced.
        """
        letters = list(letters)
        rows = frame.loc[[letter.row for letter in letters]]
        columns = {str(name): arrow(rows[name]).to_pylist() for name in rows.columns}
        for place, letter in enumerate(letters):
            row = {name: _readable(values[place]) for name, values in columns.items()}
            event_type = None if letter.event_type == _UNNAMED else letter.event_type
            yield replace(letter, record=self.personal_data.of_record(event_type, row, hits))

    def _park(
        self, opened: OpenFile, frame: pd.DataFrame, letters: Iterable[DeadLetter], hits: Counter[str] | None
    ) -> None:
        for letter in self.records(frame, letters, hits):
            opened.parked.add(letter)

    def _require_event_type(self, file: SourceFile, frame: pd.DataFrame, found: NoType) -> None:
        if found is MISSING and "event_type" not in frame.columns:
            raise FileError(
                "no event_type column, folder in the key or Avro schema names the event type; replace or remove it",
                uri=file.uri,
            )

    def _of_type(self, opened: OpenFile, event_type: str, rows: pd.DataFrame) -> Entries:
        account = opened.account
        counts = account.of(event_type)
        account.differs(event_type, drift(rows, event_type))
        keep_broken = self.connector.broken_properties == "keep"
        normalised = normalise(rows, event_type, opened.file.folders, keep_broken=keep_broken)
        account.notes.update(normalised.notes)
        rejected = [DeadLetter(each.row, event_type, each.code, each.reason) for each in normalised.rejections]
        self._park(opened, rows, rejected, account.personal_data)
        wanted = matching(normalised.events, self.connector.filter)
        chosen = replace(normalised.events, frame=normalised.events.frame[wanted])
        counts.filtered += len(wanted) - len(chosen.frame)
        events = self._first_of_each_id(opened, chosen)
        counts.duplicate += len(chosen.frame) - len(events.frame)
        sent_before = opened.sent_before.mask(events.frame.index.to_numpy())
        counts.sent += int(sent_before.sum())
        entries = self._fitting(opened, replace(events, frame=events.frame[~sent_before]), rows)
        counts.sent += len(entries)
        return entries

    def _first_of_each_id(self, opened: OpenFile, events: Events) -> Events:
        """The events whose id was not seen before in the same event type and hour, in any file or run."""
        seen = self.seen(opened.file.hour, events.event_type)
        new, brought = seen.take_new(arrow(events.frame["id"]))
        opened.brought.setdefault(events.event_type, []).append(brought)
        return events if new.all() else replace(events, frame=events.frame[new])

    def _fitting(self, opened: OpenFile, events: Events, rows: pd.DataFrame) -> Entries:
        """The entries of events without those above the limit, which are parked. ``rows`` has the rows as read."""
        account = opened.account
        protected = self.personal_data.of_events(events, account.personal_data)
        details = marked(encode(protected, account.notes), self.mode)
        rest = entry_size(self.connector.destination.source, events.event_type, 0, opened.arn)
        sizes = pc.add(self._lengths(details, rest), rest)
        fits = pc.less_equal(sizes, self.limits.bytes_per_entry)
        entries = self._entries(opened, events, details, sizes)
        if pc.all(fits).as_py():
            return entries
        oversized = [
            DeadLetter(entry.row, entry.detail_type, "oversized", self._too_large(size), entry)
            for entry, size, fit in zip(
                Span(entries, 0, len(entries)), sizes.to_pylist(), fits.to_pylist(), strict=True
            )
            if not fit
        ]
        # What the rules hit in these rows was counted when they became events.
        self._park(opened, rows, oversized, None)
        kept = replace(events, frame=events.frame[fits.to_numpy(zero_copy_only=False)])
        return self._entries(opened, kept, details.filter(fits), sizes.filter(fits))

    def _entries(self, opened: OpenFile, events: Events, details: pa.Array, sizes: pa.Array) -> Entries:
        return Entries(
            events.frame.index.tolist(),
            self.connector.destination.source,
            events.event_type,
            details,
            arrow(events.frame["time"]).to_pylist(),
            opened.arn,
            sizes.to_pylist(),
        )

    def _lengths(self, details: pa.Array, rest: int) -> pa.Array:
        """The length in bytes of each envelope, or of its JSON string where no limit is near: int64, one item per row.

        ``details`` is what ``encode`` gives; ``rest`` is the size of an entry without its detail, in bytes. The string
        is longer than the envelope, and its length is at hand. Counting the envelope only pays off near a limit.
        """
        longest = (pc.max(pc.binary_length(details)).as_py() or 0) + rest
        limits = self.limits
        if longest <= min(limits.bytes_per_entry, limits.bytes_per_request // limits.entries_per_request):
            return pc.binary_length(details)
        return pc.subtract(nested_bytes(details), 2)

    def _too_large(self, size: int) -> str:
        return f"the entry is {size} bytes, over the limit of {self.limits.bytes_per_entry}"


def _readable(value: Any) -> Any:
    """A value as rules and letters take it: None for null, and text for bytes; those that are not UTF-8 are escaped."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {_readable(name): _readable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        # Arrow gives a map as a list of pairs, and only the pairs are tuples.
        return type(value)(_readable(each) for each in value)
    return None if value is pd.NA else value
