"""Redrive: sends the rows of dead letters again, and moves those that were accepted out of the letters.

The rows are read again from the files that they came from, under the current settings, because these may be what was
corrected. A redrive has books of its own, so it resumes like any delivery. At its end they are merged into the hours'
books.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import numpy as np

from currents_core.books.account import Account, total
from currents_core.books.dead_letter import DeadLetters
from currents_core.books.ledger import Ledger
from currents_core.file_key import SourceFile
from currents_core.mode import Mode

Letter = Mapping[str, Any]


@dataclass
class Redrive:
    """One redrive. ``name`` tells it from others; ``planned`` has copies of the letters that it takes.

    ``ledger`` and ``letters`` are the hours' books; ``own_ledger`` and ``own_letters`` are the redrive's.
    """

    name: str
    ledger: Ledger
    letters: DeadLetters
    own_ledger: Ledger
    own_letters: DeadLetters
    planned: DeadLetters

    def plan(self, hours: Collection[str], wants: Callable[[Letter], bool]) -> dict[Mode, list[SourceFile]]:
        """The files of the wanted letters, by how their events are marked.

        Planning again gives the same files, and those that got letters in the meantime.
        """
        by_mode: dict[Mode, list[SourceFile]] = {}
        for hour in hours:
            taken = self.planned.ids(hour)
            for file_id in sorted(taken | self.letters.ids(hour)):
                file = self.ledger.file(hour, file_id)
                # The letters of a file that is still open belong to its delivery.
                if file and (letters := self._take(file, wants, is_taken=file_id in taken)):
                    by_mode.setdefault(cast(Mode, letters[0].get("mode", "live")), []).append(file)
        return by_mode

    def _take(self, file: SourceFile, wants: Callable[[Letter], bool], *, is_taken: bool) -> Sequence[Letter]:
        if is_taken:
            return self.planned.read(file)
        letters = [each for each in self.letters.read(file) if wants(each)]
        self.planned.replace(file, letters)
        return letters

    def rows(self, file: SourceFile) -> list[int]:
        """The numbers of the rows of a file to send again."""
        return [_row(letter) for letter in self.planned.read(file)]

    def conclude(self, files: Collection[SourceFile], now: datetime) -> Account:
        """Merges what became of the letters into the hours' books, and returns the account of it.

        It may be called any number of times. It includes files that are not through, so that another redrive does not
        send again what this one sent. Raises SetupError or ConflictError as ``Ledger.adjust`` does.
        """
        return total(self._conclude(file, now) for file in files)

    def _conclude(self, file: SourceFile, now: datetime) -> Account:
        planned = {_row(letter): letter for letter in self.planned.read(file)}
        again = {_row(letter): letter for letter in self.own_letters.read(file)}
        account = self.own_ledger.account_of(file)
        if account:
            stay = {row: _tried_again(planned[row], letter) for row, letter in again.items()}
        else:
            went = self.own_ledger.acknowledged(file).mask(np.array(list(planned)))
            stay = {row: letter for (row, letter), gone in zip(planned.items(), went, strict=True) if not gone}
            account = _so_far(planned, stay)
        others = [letter for letter in self.letters.read(file) if _row(letter) not in planned]
        self.letters.replace(file, sorted([*others, *stay.values()], key=_row))
        self.ledger.adjust(file, self.name, _moved(planned.values(), account), now)
        return account


def _row(letter: Letter) -> int:
    return int(letter["origin"]["row"])


def _tried_again(before: Letter, now: Letter) -> Letter:
    """The letter of a row that was not sent again. Finding that it can't be sent at all counts as an attempt."""
    return {**now, "first_at": before["first_at"], "attempts": before["attempts"] + max(1, now["attempts"])}


def _so_far(planned: Mapping[int, Letter], stay: Collection[int]) -> Account:
    account = Account()
    for row, letter in planned.items():
        counts = account.of(letter["event_type"])
        counts.read += 1
        if row in stay:
            counts.dead_lettered += 1
        else:
            counts.sent += 1
    return account


def _moved(planned: Collection[Letter], account: Account) -> Account:
    """The change to the hours' account, in which each of the letters was counted as a dead letter."""
    moved = Account()
    for letter in planned:
        counts = moved.of(letter["event_type"])
        counts.read -= 1
        counts.dead_lettered -= 1
    for event_type, counts in account.event_types.items():
        moved.event_types[event_type] = moved.of(event_type) + counts
    return moved
