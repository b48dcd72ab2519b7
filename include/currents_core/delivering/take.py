"""Takes a slice: claims it, and finds out under the claim which of its files or letters are to be delivered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import count
from typing import cast

from currents_core.books.account import DEDUPLICATED, Account, Counts
from currents_core.books.claim import Claim
from currents_core.books.dead_letter import Letter, letters_of, row_of
from currents_core.books.head import FileState, is_done
from currents_core.books.ledger import Held, Ledger
from currents_core.books.row_set import RowSet
from currents_core.crew import Crew
from currents_core.delivering.open_file import OpenFile
from currents_core.delivering.open_slice import OpenSlice
from currents_core.file_key import Slice, SourceFile, is_hidden
from currents_core.mode import Mode
from currents_core.ports import ObjectStore

_UNNAMED = "unnamed"


@dataclass(frozen=True)
class Taker:
    """Takes slices for one delivery, which ``owner`` names.

    The ``new`` ones had not begun when somebody looked. ``wants_letter`` chooses the letters of the files to send
    again; without it, the files are delivered. ``settings`` is the fingerprint of those of the delivery, and ``prefix``
    what the keys of its source begin with.
    """

    source: ObjectStore
    ledger: Ledger
    owner: str
    crew: Crew
    new: Set[Slice] = frozenset()
    wants_letter: Callable[[Letter], bool] | None = None
    settings: str = ""
    prefix: str = ""

    def take(self, place: Slice, files: Sequence[SourceFile]) -> OpenSlice | Held:
        """The slice with what is to be delivered of it, or who has it instead. ``files`` are those that were listed."""
        claim = self.ledger.claim(place, self.owner, is_new=place in self.new)
        if isinstance(claim, Held):
            return claim
        with claim.kept():
            return self._looked_at(claim, files)

    def _looked_at(self, claim: Claim, files: Sequence[SourceFile]) -> OpenSlice:
        opened = OpenSlice(claim, claim.seen(), self.crew.lock())
        if self.wants_letter:
            opened.todo.extend(self._with_letters(claim, {file.id for file in files}, self.wants_letter))
        else:
            numbers = count(claim.head.next_number)
            for file in files:
                state = claim.head.files.get(file.id)
                if is_done(state):
                    opened.skipped.append(file)
                else:
                    opened.todo.append(self._opened(_reopened(state) if state else FileState(file, next(numbers))))
            opened.gone.extend(self._gone(claim, files))
        return opened

    def _opened(self, state: FileState, asked: Mapping[tuple[str, Mode], RowSet] | None = None) -> OpenFile:
        return OpenFile(state, state.file.arn(self.source.partition), asked, self.settings)

    def _with_letters(self, claim: Claim, planned: Set[str], wants: Callable[[Letter], bool]) -> Iterator[OpenFile]:
        """The ``planned`` files that have wanted letters. Letters of files that are not done belong to their delivery.

        What came later was not planned, and so not approved of either.
        """
        done = [state for file_id, state in claim.head.files.items() if state.fate == "done" and file_id in planned]
        asked: dict[str, dict[tuple[str, Mode], list[int]]] = defaultdict(lambda: defaultdict(list))
        for state, letter in letters_of(claim.pages, done):
            if wants(letter):
                key = (str(letter["event_type"]), cast(Mode, letter.get("mode", "live")))
                asked[state.file.id][key].append(row_of(letter))
        for file_id, by_kind in sorted(asked.items(), key=lambda each: claim.head.files[each[0]].number):
            rows = {kind: _rows(numbers) for kind, numbers in by_kind.items()}
            yield self._opened(claim.head.files[file_id], rows)

    def _gone(self, claim: Claim, files: Sequence[SourceFile]) -> Iterator[FileState]:
        """The states of files that were open or failed, and are no longer there: nothing more can come of them."""
        listed = {file.id for file in files}
        for state in claim.head.files.values():
            is_left = state.fate in {"open", "failed"} and state.file.id not in listed
            if is_left and not self._is_there(state.file):
                yield gone(state, [letter for _, letter in letters_of(claim.pages, [state])])

    def _is_there(self, file: SourceFile) -> bool:
        # Earlier versions took what is hidden for files as well.
        is_file = not is_hidden(file.key.removeprefix(self.prefix))
        return is_file and self.source.has_version(file.key, file.etag)


def _reopened(state: FileState) -> FileState:
    """The state of a file that is to be delivered. One that was gone may be there again."""
    return replace(state, fate="open", account=None) if state.fate == "gone" else state


def gone(state: FileState, letters: Iterable[Letter] = ()) -> FileState:
    """The state of a file that is no longer there: what was accepted of it stays sent, and its letters stay.

    A row of another file may be a duplicate of one that has only a letter here.
    """
    account = Account()
    if sent := len(state.rows):
        account.event_types[state.file.event_type or _UNNAMED] = Counts(read=sent, sent=sent)
    if state.deduplicated:
        account.notes[DEDUPLICATED] = state.deduplicated
    for letter in letters:
        counts = account.of(str(letter["event_type"]))
        counts.read += 1
        counts.dead_lettered += 1
    return replace(state, fate="gone", account=account)


def _rows(numbers: Sequence[int]) -> RowSet:
    rows = RowSet()
    rows.add_rows(sorted(numbers))
    return rows
