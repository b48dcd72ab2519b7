"""Dead letters: records that could not be sent, parked with their origin and the reason in pages of their slice."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Any

import orjson

from currents_core.books.head import FileState, Head
from currents_core.books.pages import Pages
from currents_core.entry import Entry
from currents_core.file_key import SourceFile
from currents_core.mode import Mode

# Letters are compressed in memory up to so many bytes, and then on disk.
_IN_MEMORY = 1 << 22

# A letter as it is stored; see ``content``.
Letter = Mapping[str, Any]


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


def content(file: SourceFile, letter: DeadLetter, now: datetime, mode: Mode) -> dict[str, Any]:
    """A letter as it is stored."""
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


def row_of(letter: Letter) -> int:
    """The row that a letter is for."""
    return int(letter["origin"]["row"])


def write_letters(pages: Pages, name: str, letters: Iterable[Letter]) -> bool:
    """Writes a page of letters. Returns False, and writes none, if there are no letters."""
    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    is_empty = True
    with SpooledTemporaryFile(_IN_MEMORY) as body:
        # Without a time in the gzip header, the same letters give the same bytes.
        with gzip.GzipFile("", "wb", fileobj=body, mtime=0) as lines:
            for letter in letters:
                lines.write(orjson.dumps(letter, default=str, option=options))
                is_empty = False
        if not is_empty:
            body.seek(0)
            pages.upload(name, body)
    return not is_empty


def letters_of(pages: Pages, states: Iterable[FileState]) -> Iterator[tuple[FileState, Letter]]:
    """The letters of files, page by page, without those of rows that were accepted since.

    A letter counts only where the state of its file names its page: others are of a try that was given up.
    """
    by_place = {(state.file.key, state.file.etag): state for state in states}
    names = dict.fromkeys(name for state in by_place.values() for name in state.letters)
    for name in names:
        for line in pages.lines(name):
            letter = orjson.loads(line)
            origin = letter["origin"]
            state = by_place.get((origin["key"], origin["etag"]))
            if state and name in state.letters and origin["row"] not in state.rows:
                yield state, letter


def with_one_letter_page(head: Head, pages: Pages, name: str) -> Head:
    """The head with all letters in one page, called ``name``, if they are in several."""
    named = [state for state in head.files.values() if state.letters]
    if len({page for state in named for page in state.letters}) <= 1:
        return head
    kept: set[str] = set()

    def lines() -> Iterator[Letter]:
        for state, letter in letters_of(pages, named):
            kept.add(state.file.id)
            yield letter

    write_letters(pages, name, lines())
    return head.with_states(replace(state, letters=(name,) if state.file.id in kept else ()) for state in named)
