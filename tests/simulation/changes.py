"""What may become of the books of a slice from one head to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from currents_core.books.head import FileState
from currents_core.file_key import SourceFile
from tests.simulation.books import Books, Place, require

# Whether the settings of a process want an event of this type and with this id.
Wants = Callable[[str, str | None], bool]


@dataclass
class Change:
    """A head that follows another, written under the settings ``wants``.

    ``files`` has the ids of the rows of each file. ``settled`` has the other rows of files that are done, by the ids of
    the files, and whether they were filtered; what this change settles is added. ``gone`` gets the states of files that
    are called gone now.
    """

    before: Books | None
    after: Books
    wants: Wants
    files: Mapping[str, tuple[SourceFile, tuple[str | None, ...]]]
    settled: dict[str, dict[int, bool]]
    gone: list[FileState] = field(default_factory=list)

    @property
    def event_type(self) -> str:
        """The event type of the slice."""
        return self.after.head.slice.event_type or ""

    def state_before(self, file_id: str) -> FileState | None:
        """The state of a file in the head before."""
        return self.before.states.get(file_id) if self.before else None


def check_change(change: Change) -> list[Place]:
    """Checks a change, and returns the rows that it calls accepted and the head before did not."""
    after = change.after
    numbers = {state.number: file_id for file_id, state in after.states.items()}
    require(len(numbers) == len(after.states), "two files have one number")
    in_pages = {(numbers.get(number, ""), row) for number, row in after.ids}
    in_rows = {(file_id, row) for file_id, state in after.states.items() for row in _rows(state)}
    require(in_rows <= in_pages, f"rows are accepted whose ids are not in the books: {sorted(in_rows - in_pages)}")
    require(in_pages <= in_rows, f"ids of rows that are not accepted: {sorted(in_pages - in_rows)}")
    for (number, row), found in after.ids.items():
        require(change.files[numbers[number]][1][row] == found, "an id lies at the place of another")
    lost, new = _against_before(change, in_rows)
    require(not lost, f"accepted rows are lost: {sorted(lost)}")
    _check_letters(change)
    for file_id, state in after.states.items():
        _check_state(change, file_id, state)
    return sorted(new)


def _rows(state: FileState) -> Iterator[int]:
    return (row for start, stop in state.rows.ranges for row in range(start, stop))


def _against_before(change: Change, in_rows: set[Place]) -> tuple[set[Place], set[Place]]:
    states = change.before.states if change.before else {}
    before = {(file_id, row) for file_id, state in states.items() for row in _rows(state)}
    return before - in_rows, in_rows - before


def _check_letters(change: Change) -> None:
    """A letter ends when its row or id is accepted; when its row is filtered; or when another letter has its id."""
    if change.before is None:
        return
    after = change.after
    held = {found for found in after.letters.values() if found}
    for place, found in change.before.letters.items():
        file_id, row = place
        state = after.states.get(file_id)
        require(state, f"{file_id} is lost")
        assert state
        if place in after.letters or row in state.rows or found in after.accepted or (found and found in held):
            continue
        is_redone = state.fate in {"done", "failed"} and not change.wants(change.event_type, found)
        require(is_redone, f"the letter of {place} is lost, whose event {found} was never accepted")


def _check_state(change: Change, file_id: str, state: FileState) -> None:
    before = change.state_before(file_id)
    if before and before.fate == "done":
        require(state.fate == "done", f"{state.file.key} was done, and is {state.fate}")
    if state.fate == "gone" and not (before and before.fate == "gone"):
        change.gone.append(state)
    if state.fate == "done":
        _check_done(change, state, change.files[file_id][1])
    if state.fate in {"done", "gone"}:
        totals = state.account.totals if state.account else None
        letters = sum(place[0] == file_id for place in change.after.letters)
        rows = len(state.rows)
        require(totals and totals.balanced, f"the books of {state.file.key} don't balance: {totals}")
        assert totals
        require(totals.sent == rows, f"{totals.sent} rows of {state.file.key} are called sent, {rows} were accepted")
        require(
            totals.dead_lettered == letters, f"{totals.dead_lettered} letters of {state.file.key}, there are {letters}"
        )


def _check_done(change: Change, state: FileState, ids: tuple[str | None, ...]) -> None:
    """Each row of a file that is done was accepted, has a letter, was filtered, or has an original that stays."""
    after = change.after
    settled = change.settled.setdefault(state.file.id, {})
    kept = after.accepted | {found for found in after.letters.values() if found}
    for row, found in enumerate(ids):
        if row in state.rows or (state.file.id, row) in after.letters or row in settled:
            continue
        settled[row] = not change.wants(change.event_type, found)
        told = f"{state.file.key}:{row} is called a duplicate, but {found} neither went nor waits"
        require(settled[row] or found in kept, told)
    totals = state.account.totals if state.account else None
    assert totals
    filtered = sum(settled.values())
    require(totals.read == len(ids), f"{totals.read} rows of {state.file.key} are called read, it has {len(ids)}")
    require(
        totals.filtered == filtered, f"{totals.filtered} rows of {state.file.key} are called filtered, not {filtered}"
    )
