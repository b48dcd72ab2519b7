"""Turns the rows of a file into entries: normalize → filter → drop duplicates → personal data → encode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from currents_core.books.account import CLAIM_CHECKS
from currents_core.books.dead_letter import DeadLetter
from currents_core.books.id_pages import Fingerprints, fingerprints
from currents_core.books.seen_ids import SeenIds
from currents_core.delivering.claim_checks import Cloakroom
from currents_core.delivering.open_file import OpenFile
from currents_core.entry import Common, Entries, Span, Wire, entry_size
from currents_core.errors import FileError
from currents_core.file_key import SourceFile
from currents_core.limits import Limits
from currents_core.mode import Mode
from currents_core.reading.cost import COLUMNS_OF_TYPES, EVENT_TYPES, require
from currents_core.reading.read import Batch
from currents_core.setup.settings import Connector
from currents_core.shaping.columns import arrow, plain
from currents_core.shaping.drift import drift
from currents_core.shaping.encode import encode
from currents_core.shaping.envelope import Events
from currents_core.shaping.filter import matching
from currents_core.shaping.json_text import TEXT, Parts, concat, lengths, nested_bytes
from currents_core.shaping.normalise import MISSING, NoType, by_event_type, normalise
from currents_core.shaping.personal_data import PersonalData
from currents_core.shaping.reduced import reduced
from currents_core.shaping.users import users

_UNNAMED = "unnamed"
_OVERSIZED = ("oversized_row", "the row is several times as large as EventBridge takes; its long values are left out")


@dataclass(frozen=True, slots=True)
class Batched:
    """Where entries come from: their file, the fingerprints of their ids, their row numbers, and their rows as read.

    ``prints`` is uint64 of shape (entries, 2), ``rows`` int64 of shape (entries,). ``frame`` may have other rows, too.
    """

    opened: OpenFile
    prints: Fingerprints
    frame: pd.DataFrame
    rows: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def file_id(self) -> str:
        """The id of the file."""
        return self.opened.file.id

    def part(self, start: int, stop: int) -> Batched:
        """The same for some of the entries, without the rows of others."""
        rows = self.rows[start:stop].copy()
        return Batched(self.opened, self.prints[start:stop].copy(), self.frame.loc[rows], rows)


class _Encoded(NamedTuple):
    """Events, where they come from, their envelopes as ``encode`` gives them, and the sizes of their entries."""

    batched: Batched
    events: Events
    envelopes: Parts
    sizes: pa.Array

    def those(self, mask: npt.NDArray[np.bool_]) -> _Encoded:
        """Some of them."""
        kept = pa.array(mask)
        return _Encoded(
            replace(self.batched, prints=self.batched.prints[mask]),
            replace(self.events, frame=self.events.frame[mask]),
            [part if isinstance(part, str) else part.filter(kept) for part in self.envelopes],
            self.sizes.filter(kept),
        )


@dataclass
class Preparation:
    """Prepares the rows of the files of one connector. ``limits`` and ``wire`` are those of the destination.

    Events that are too large are left in the ``cloakroom``, and claim checks go in their place; without one, they
    become dead letters.
    """

    connector: Connector
    limits: Limits
    wire: Wire
    personal_data: PersonalData = field(default_factory=lambda: PersonalData(()))
    cloakroom: Cloakroom | None = None

    def entries(
        self, opened: OpenFile, seen: SeenIds, file_type: str | None, batch: Batch, mode: Mode
    ) -> list[Entries]:
        """The entries to send of a batch, per event type; what became of all other rows is noted in ``opened``.

        Rows that were accepted before count as sent before anything else is asked: no setting takes them back.
        ``seen`` has the ids seen before in the slice. ``file_type`` is the event type that the key or the schema names,
        if any. ``mode`` is how the events are marked. Raises FileError if nothing names the event types of the file, or
        if it has too many; then nothing of the batch counts as seen.
        """
        prepared: list[Entries] = []
        new_ids: list[Fingerprints] = []
        frame = batch.frame
        for event_type, each in by_event_type(frame, file_type):
            counts = opened.account.of(_UNNAMED if isinstance(event_type, NoType) else event_type)
            counts.read += len(each)
            went = opened.before.rows.mask(each.index.to_numpy())
            rows = each[~went] if went.any() else each
            counts.sent += len(each) - len(rows)
            if not len(rows):
                continue
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
                entries, new = self._of_type(opened, seen, event_type, rows, mode)
                prepared += entries
                new_ids.append(new)
        # What comes in other files is a duplicate only of what is sent.
        for each in new_ids:
            seen.add_run(each)
        opened.expect(sum(map(len, prepared)))
        return [each for each in prepared if len(each)]

    def records(
        self, frame: pd.DataFrame, letters: Iterable[DeadLetter], hits: Counter[str] | None = None
    ) -> Iterator[DeadLetter]:
        """The letters, each with its row of ``frame`` as its record, after the rules for personal data.

        ``frame`` is that of a batch, with the rows of all ``letters``. ``hits`` counts what each rule dropped or
        replaced.
        """
        letters = list(letters)
        if not letters:
            return
        rows = frame.loc[[letter.row for letter in letters]]
        columns = {str(name): plain(arrow(rows[name])) for name in rows.columns}
        for place, letter in enumerate(letters):
            row = {name: _readable(values[place]) for name, values in columns.items()}
            event_type = None if letter.event_type == _UNNAMED else letter.event_type
            yield replace(letter, record=self.personal_data.of_record(event_type, row, hits))

    def _park(
        self, opened: OpenFile, frame: pd.DataFrame, letters: Iterable[DeadLetter], hits: Counter[str] | None
    ) -> None:
        for letter in self.records(frame, letters, hits):
            opened.park(letter)

    def _require_event_type(self, file: SourceFile, frame: pd.DataFrame, found: NoType) -> None:
        if found is MISSING and "event_type" not in frame.columns:
            raise FileError(
                "no event_type column, folder in the key or Avro schema names the event type; replace or remove it",
                uri=file.uri,
            )

    def _of_type(
        self, opened: OpenFile, seen: SeenIds, event_type: str, rows: pd.DataFrame, mode: Mode
    ) -> tuple[list[Entries], Fingerprints]:
        """The entries of rows of one event type, and the fingerprints of ids that were not seen before."""
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
        prints = fingerprints(arrow(chosen.frame["id"]), event_type)
        new, new_ids = seen.new_among(prints)
        counts.duplicate += len(new) - int(new.sum())
        settled = new & opened.before.settled_before.mask(chosen.frame.index.to_numpy())
        counts.sent += int(settled.sum())
        opened.was_settled(chosen.frame.index.to_numpy()[settled], prints[settled])
        open_rows = new & ~settled
        events = chosen if open_rows.all() else replace(chosen, frame=chosen.frame[open_rows])
        entries = self._fitting(opened, Batched(opened, prints[open_rows], rows), events, mode)
        counts.sent += sum(map(len, entries))
        return entries, new_ids

    def _fitting(self, opened: OpenFile, batched: Batched, events: Events, mode: Mode) -> list[Entries]:
        """The entries of events. Of those above the limit, claim checks are sent, or else they are parked."""
        account = opened.account
        protected = self.personal_data.of_events(events, account.personal_data)
        encoded = self._encoded(batched, protected, account.notes, mode)
        fit = self._fit(encoded)
        if fit.all():
            return [self._entries(encoded)]
        large = encoded.those(~fit)
        if not self.cloakroom:
            self._park_oversized(opened, large)
            return [self._entries(encoded.those(fit))]
        return [self._entries(encoded.those(fit)), self._claim_checks(opened, large, mode, self.cloakroom)]

    def _claim_checks(self, opened: OpenFile, large: _Encoded, mode: Mode, cloakroom: Cloakroom) -> Entries:
        """Entries with claim checks for events that are too large, which are left whole. Some may be too large still.

        What the texts of these rows have that JSON can't express was counted before.
        """
        whole = concat(*encode(large.events, Counter(), mode, is_nested=False))
        bodies = whole.cast(pa.large_binary()).to_pylist()
        checks = cloakroom.checks(opened.file.slice, bodies)
        told = pa.array([orjson.dumps(check._asdict()).decode() for check in checks], TEXT)
        encoded = self._encoded(large.batched, reduced(large.events), Counter(), mode, told)
        fit = self._fit(encoded)
        if not fit.all():
            self._park_oversized(opened, large.those(~fit))
        # The objects must be there before anybody can be told where they are.
        cloakroom.leave([*compress(checks, fit)], [*compress(bodies, fit)])
        opened.account.notes[CLAIM_CHECKS] += int(fit.sum())
        return self._entries(encoded.those(fit))

    def _park_oversized(self, opened: OpenFile, large: _Encoded) -> None:
        entries = Span(self._entries(large), 0, len(large.sizes))
        letters = [
            DeadLetter(entry.row, entry.detail_type, "oversized", self._too_large(size), entry)
            for entry, size in zip(entries, large.sizes.to_pylist(), strict=True)
        ]
        # What the rules hit in these rows was counted when they became events.
        self._park(opened, large.batched.frame, letters, None)

    def _encoded(
        self, batched: Batched, events: Events, notes: Counter[str], mode: Mode, checks: pa.Array | None = None
    ) -> _Encoded:
        envelopes = encode(events, notes, mode, checks=checks, is_nested=self.wire.is_nested)
        rest = entry_size(self.connector.event_source, events.event_type, 0, batched.opened.arn)
        return _Encoded(batched, events, envelopes, pc.add(self._lengths(envelopes, rest), rest))

    def _fit(self, encoded: _Encoded) -> npt.NDArray[np.bool_]:
        fits = pc.less_equal(encoded.sizes, self.limits.bytes_per_entry)
        return np.asarray(fits.to_numpy(zero_copy_only=False), bool)

    def _entries(self, encoded: _Encoded) -> Entries:
        batched, events, envelopes, sizes = encoded
        frame = events.frame
        common = Common(self.connector.event_source, events.event_type, batched.opened.arn)
        rows = frame.index.to_numpy()
        return Entries(
            rows.tolist(),
            common,
            self.wire,
            self.wire.written(
                common,
                envelopes,
                arrow(frame["time"]),
                arrow(frame["id"]),
                users(events) if self.wire.asks_for_users else None,
            ),
            sizes.to_pylist(),
            replace(batched, rows=rows),
        )

    def _lengths(self, envelopes: Parts, rest: int) -> pa.Array:
        """The length in bytes of each envelope, or of its JSON string where no limit is near: int64, one item per row.

        ``envelopes`` is what ``encode`` gives; ``rest`` is the size of an entry without its envelope, in bytes. The
        string is longer than the envelope, and its length is at hand. Counting the envelope only pays off near a limit.
        """
        found = lengths(envelopes)
        longest = (pc.max(found).as_py() or 0) + rest
        limits = self.limits
        is_far = longest <= min(limits.bytes_per_entry, limits.bytes_per_request // limits.entries_per_request)
        if is_far or not self.wire.is_nested:
            return found
        return pc.subtract(nested_bytes(concat(*envelopes)), 2)

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
