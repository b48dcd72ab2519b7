"""Dead letters: records that could not be sent, parked with their origin and the reason."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Any

import orjson

from currents_core.books.layout import Layout, file_id_of
from currents_core.entry import Entry
from currents_core.file_key import SourceFile
from currents_core.mode import Mode
from currents_core.ports import ObjectStore

# Letters are compressed in memory up to so many bytes, and then on disk.
_IN_MEMORY = 1 << 22


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One parked record: why it was not sent, and what it was.

    ``row`` is its row number in the file, from 0. ``code`` is for programs and ``reason`` for people. ``entry`` is the
    entry, if one was built. ``attempts`` counts how often it was sent, from ``first_try`` on. ``record`` is the row as
    it was read, with the rules for personal data applied.
    """

    row: int
    event_type: str
    code: str
    reason: str
    entry: Entry | None = None
    attempts: int = 0
    first_try: datetime | None = None
    record: Mapping[str, object] = field(default_factory=dict)


class DeadLetters:
    """The dead letters of one connector, as gzipped lines of JSON in one object per file."""

    def __init__(self, store: ObjectStore, layout: Layout) -> None:
        self._store = store
        self._layout = layout

    def ids(self, hour: str) -> set[str]:
        """The ids of the files of an hour that have dead letters."""
        return {file_id_of(each.key) for each in self._store.objects(self._layout.letters(hour))}

    def write(self, file: SourceFile, letters: Iterable[DeadLetter], now: datetime, mode: Mode = "live") -> None:
        """Parks all letters of a file, at least one. Writing them again replaces them, so none is parked twice."""
        self._write(file, (_content(file, letter, now, mode) for letter in letters))

    def replace(self, file: SourceFile, letters: Iterable[Mapping[str, object]]) -> None:
        """Replaces the letters of a file by others in the form of ``read``; removes them if there are none."""
        lines = list(letters)
        if lines:
            self._write(file, lines)
        else:
            self.remove(file)

    def _write(self, file: SourceFile, letters: Iterable[Mapping[str, object]]) -> None:
        options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
        with SpooledTemporaryFile(_IN_MEMORY) as body:
            # Without a time in the gzip header, the same letters give the same bytes.
            with gzip.GzipFile("", "wb", fileobj=body, mtime=0) as lines:
                for letter in letters:
                    lines.write(orjson.dumps(letter, default=str, option=options))
            body.seek(0)
            self._store.upload(self._layout.letters_of(file), body)

    def remove(self, file: SourceFile) -> None:
        """Removes the letters of a file, such as those that an interrupted delivery parked."""
        self._store.delete(self._layout.letters_of(file))

    def read(self, file: SourceFile) -> list[dict[str, Any]]:
        """The letters of a file as they are stored; empty if there are none."""
        body = self._store.read(self._layout.letters_of(file))
        return [orjson.loads(line) for line in gzip.decompress(body).splitlines()] if body else []


def _content(file: SourceFile, letter: DeadLetter, now: datetime, mode: Mode) -> dict[str, object]:
    return {
        "event_type": letter.event_type,
        "code": letter.code,
        "reason": letter.reason,
        "origin": {"bucket": file.bucket, "key": file.key, "etag": file.etag, "row": letter.row},
        "mode": mode,
        "attempts": letter.attempts,
        "first_at": (letter.first_try or now).isoformat(timespec="seconds"),
        "last_at": now.isoformat(timespec="seconds"),
        "record": letter.record,
        "entry": letter.entry._asdict() if letter.entry else None,
    }
