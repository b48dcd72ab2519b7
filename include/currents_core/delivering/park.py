"""Parks the letters of files that are through, before the head of their slice names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import cast

from currents_core.books.claim import Claim
from currents_core.books.dead_letter import Letter, content, letters_of, row_of, write_letters
from currents_core.delivering.open_file import OpenFile
from currents_core.mode import Mode


def park(claim: Claim, files: Sequence[OpenFile], mode: Mode, now: datetime) -> dict[str, tuple[str, ...]]:
    """Writes the letters of files to a page. Returns the pages of each file's letters, by its file id.

    ``mode`` is how the files' events are marked, but for letters that are sent again: they keep theirs. A file whose
    letters were sent again gets the letters that were left out, and those that could not go this time either. A file
    that can't be read keeps the letters of an earlier try that came further.
    """
    again = [opened for opened in files if opened.asked is not None]
    if not again and not any(opened.letters for opened in files):
        return {opened.file.id: opened.before.letters if opened.fault else () for opened in files}
    name = claim.new_page("letters")
    own = {
        opened.file.id: (name,) if opened.letters else opened.before.letters if opened.fault else ()
        for opened in files
        if opened.asked is None
    }
    # What can't be read keeps its letters as they are.
    left = {opened.file.id: opened.before.letters for opened in again if opened.fault}
    redriven = {opened.file.id: opened for opened in again if not opened.fault}
    kept: set[str] = set()

    def letters() -> Iterator[Letter]:
        for opened in files:
            if opened.asked is None:
                yield from _own(claim, opened, now, mode)
        for file_id, letter in _redriven(claim, redriven, now):
            kept.add(file_id)
            yield letter

    write_letters(claim.pages, name, letters())
    return own | left | {file_id: (name,) if file_id in kept else () for file_id in redriven}


def _own(claim: Claim, opened: OpenFile, now: datetime, mode: Mode) -> Iterator[Letter]:
    rows = set()
    for letter in opened.letters:
        rows.add(letter.row)
        yield content(opened.file, letter, now, mode)
    if opened.fault and rows:
        earlier = letters_of(claim.pages, [opened.news()[0]])
        yield from (letter for _, letter in earlier if row_of(letter) not in rows)


def _redriven(claim: Claim, files: Mapping[str, OpenFile], now: datetime) -> Iterator[tuple[str, Letter]]:
    """The letters that stay of files whose letters were sent again."""
    again = {file_id: opened.letters.by_row() for file_id, opened in files.items()}
    states = [opened.news()[0] for opened in files.values()]
    for state, letter in letters_of(claim.pages, states):
        file_id, row = state.file.id, row_of(letter)
        if new := again[file_id](row):
            mode = cast(Mode, letter.get("mode", "live"))
            yield file_id, _tried_again(letter, content(state.file, new, now, mode))
        elif not any(row in asked for asked in (files[file_id].asked or {}).values()):
            yield file_id, letter


def _tried_again(before: Letter, now: Letter) -> Letter:
    """The letter of a row that was not sent again. Finding that it can't be sent at all counts as an attempt."""
    return {
        **now,
        "first_at": before["first_at"],
        "attempts": before["attempts"] + max(1, now["attempts"]),
        "redrives": before.get("redrives", 0) + 1,
    }
