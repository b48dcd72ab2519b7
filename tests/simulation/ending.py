"""What must hold at the end of a history, when nothing fails any more and everything has run out."""

from __future__ import annotations

from collections.abc import Mapping

from currents_core.books.day import parse_day
from currents_core.books.layout import is_day_index
from currents_core.file_key import SourceFile
from tests.simulation.actors import Settings
from tests.simulation.books import LAYOUT, Books, require
from tests.simulation.files import HOUR, is_damaged
from tests.simulation.oracle import Oracle, head_key
from tests.simulation.source import Source


def has_damaged_files(source: Source) -> bool:
    """Whether a file that is there can't be read."""
    return any(is_damaged(source.body(file)) for file in source.listed())


def check_end(oracle: Oracle, source: Source, settings: Settings) -> None:
    """Raises ViolationError unless every wanted file is done, and every row of it accounted for."""
    for file in source.listed():
        if not settings.wants(file.event_type or "", None):
            continue
        books = oracle.books.get(head_key(file.slice))
        state = books.states.get(file.id) if books else None
        fate = "failed" if is_damaged(source.body(file)) else "done"
        require(books and state and state.fate == fate, f"{file.key} is not {fate}: {state}")
        assert books
        if fate == "done":
            _check_rows(oracle, books, file)
    for (event_type, found), count in sorted(oracle.saved_ids.items()):
        require(count == 1, f"{found} of {event_type} is {count} times in the books")


def check_small(contents: Mapping[str, bytes]) -> None:
    """Raises ViolationError unless all that is left is a compacted day of at most 20 objects."""
    left = [key for key in contents if not key.startswith(LAYOUT.day())]
    require(not left, f"a compacted day leaves {left}")
    [index] = [key for key in contents if is_day_index(key)]
    named = {f"{LAYOUT.day(HOUR[:10])}{name}" for name in parse_day(contents[index], index).names}
    require(contents.keys() == {index, *named}, f"a compacted day names {len(named)} pages and has {len(contents) - 1}")
    require(len(contents) <= 20, f"a compacted day has {len(contents)} objects")


def _check_rows(oracle: Oracle, books: Books, file: SourceFile) -> None:
    """Each row was accepted, has a letter, or was filtered; or the same can be said of another row with its id."""
    held = {found for found in books.letters.values() if found} | _filtered(oracle, file)
    for row, found in enumerate(oracle.files[file.id][1]):
        is_accounted = (
            (found and oracle.accepted_ids[file.event_type or "", found])
            or (file.id, row) in books.letters
            or found in held
            or oracle.settled.get(file.id, {}).get(row)
        )
        require(is_accounted, f"{file.key}:{row} ({found}) never went, and nothing says why")


def _filtered(oracle: Oracle, file: SourceFile) -> set[str]:
    """The ids of rows of the slice that were filtered."""
    return {
        found
        for file_id, rows in oracle.settled.items()
        for row, was_filtered in rows.items()
        if was_filtered and oracle.files[file_id][0].slice == file.slice and (found := oracle.files[file_id][1][row])
    }
