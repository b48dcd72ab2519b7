"""Redrive: sends the rows of dead letters again, and moves what went through.

Rows are read anew from the files they came from, under today's settings, since it is those that were corrected. A
redrive has books of its own, so that it resumes as any delivery does; at its end they are taken over into the hours'.
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

    ``ledger`` and ``letters`` are the hours' books, ``own_ledger`` and ``own_letters`` those of the redrive.
    """

    name: str
    ledger: Ledger
    letters: DeadLetters
    own_ledger: Ledger
    own_letters: DeadLetters
    planned: DeadLetters

    def plan(self, hours: Collection[str], wants: Callable[[Letter], bool]) -> dict[Mode, list[SourceFile]]:
        """The files of the letters that are wanted, by how their events are marked.

        Planned again, it finds the same, and what was added meanwhile.
        """
        found: dict[Mode, list[SourceFile]] = {}
        for hour in hours:
            taken = self.planned.ids(hour)
            for file_id in sorted(taken | self.letters.ids(hour)):
                file = self.ledger.file(hour, file_id)
                # Letters of a file that is still open are its delivery's.
                if file and (letters := self._take(file, wants, is_taken=file_id in taken)):
                    found.setdefault(cast(Mode, letters[0].get("mode", "live")), []).append(file)
        return found

    def _take(self, file: SourceFile, wants: Callable[[Letter], bool], *, is_taken: bool) -> Sequence[Letter]:
        if is_taken:
            return self.planned.read(file)
        letters = [each for each in self.letters.read(file) if wants(each)]
        self.planned.replace(file, letters)
        return letters

    def rows(self, file: SourceFile) -> list[int]:
        """The rows of a file that are to be sent again."""
        return [_row(letter) for letter in self.planned.read(file)]

    def conclude(self, files: Collection[SourceFile], now: datetime) -> Account:
        """Takes what became of the letters over into the hours' books, as often as it is called; returns that.

        Also of files that are not through: so another redrive does not send again what this one did.
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
    """The letter of a row that did not go once more; finding that it can't be sent at all counts as a try."""
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
    """What the hours' account has to change by: the letters were counted there, each as a dead letter."""
    moved = Account()
    for letter in planned:
        counts = moved.of(letter["event_type"])
        counts.read -= 1
        counts.dead_lettered -= 1
    for event_type, counts in account.event_types.items():
        moved.event_types[event_type] = moved.of(event_type) + counts
    return moved
