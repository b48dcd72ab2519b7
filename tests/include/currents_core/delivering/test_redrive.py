from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_aws.memory import MemoryTarget
from currents_core.books.account import Counts
from currents_core.books.claim import Claim
from currents_core.books.dead_letter import Letter
from currents_core.books.head import FileState
from currents_core.books.ledger import LEASE_SECONDS
from currents_core.books.pages import lines_of
from currents_core.delivering.keep import Keeper
from currents_core.entry import Entry
from currents_core.errors import DeliveryError, StoppedError, TransientError
from currents_core.file_key import SourceFile, by_slice
from currents_core.ports import SENT, Failed, Invalid, Result
from tests.tools.house import OPEN, PURCHASE, House, connector, table


def every(_letter: Mapping[str, Any]) -> bool:
    return True


class Redriven(House):
    """A house whose destination refuses the ids in ``refused``."""

    def __init__(self) -> None:
        super().__init__(MemoryTarget(answer=self.answer))
        self.refused: set[str] = set()
        self.most: int | None = None

    def answer(self, entry: Entry) -> Result:
        if self.most is not None and len(self.target.accepted) >= self.most:
            self.running.stop()
        return Invalid("MalformedDetail", "no") if json.loads(entry.detail)["id"] in self.refused else SENT

    def letters_by_row(self, file: SourceFile) -> dict[int, Letter]:
        return {each["origin"]["row"]: each for each in self.letters(file)}

    def totals(self) -> Counts:
        totals = self.account().totals
        assert totals.balanced
        return totals


def test_what_goes_through_leaves_the_letters_and_what_does_not_stays_with_the_try_added() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a", None, "c", "d", "c"]))
    house.refused = {"a", "c"}
    house.deliver(file)
    assert house.totals() == Counts(read=5, sent=1, duplicate=1, dead_lettered=3)
    before = house.letters_by_row(file)

    house.refused = {"c"}
    assert house.redrive() == Counts(read=3, sent=1, dead_lettered=2)
    assert house.totals() == Counts(read=5, sent=2, duplicate=1, dead_lettered=2)
    after = house.letters_by_row(file)
    assert list(after) == [1, 2]
    assert {row: after[row]["attempts"] - before[row]["attempts"] for row in after} == {1: 1, 2: 1}
    assert {letter["redrives"] for letter in after.values()} == {1}
    assert after[2]["first_at"] == before[2]["first_at"]
    assert after[1]["code"] == "no_id"

    house.refused = set()
    assert house.redrive() == Counts(read=2, sent=1, dead_lettered=1)
    assert house.ids() == {"a": 1, "c": 1, "d": 1}
    assert list(house.letters_by_row(file)) == [1]


def test_only_the_letters_that_are_meant_are_taken() -> None:
    house = Redriven()
    opens = house.put(OPEN, "a.parquet", table(["a", None]))
    purchases = house.put(PURCHASE, "b.parquet", table(["b", None]))
    house.refused = {"a", "b"}
    house.deliver(opens, purchases)
    house.refused = set()

    def is_meant(letter: Mapping[str, Any]) -> bool:
        return bool(letter["code"] == "MalformedDetail" and letter["event_type"] == PURCHASE)

    assert house.redrive(is_meant) == Counts(read=1, sent=1)
    assert house.ids() == {"b": 1}
    assert list(house.letters_by_row(opens)) == [0, 1]
    assert list(house.letters_by_row(purchases)) == [1]


def test_letters_of_a_backfill_go_as_such() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a"]))
    house.refused = {"a"}
    house.delivery(mode="backfill").deliver(by_slice([file]))
    house.refused = set()
    house.redrive()
    [entry] = house.target.accepted
    assert json.loads(entry.detail)["currents_export"] == {"mode": "backfill"}


def test_a_redrive_that_ends_early_keeps_the_letters_that_it_would_have_parked_again() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a", None]))
    house.refused = {"a"}
    house.deliver(file)
    house.target.answer = lambda _: Failed("InternalFailure", "down", "outage")
    with pytest.raises(TransientError, match="still refused"):
        house.redrive()
    assert list(house.letters_by_row(file)) == [0, 1]
    assert house.totals() == Counts(read=2, dead_lettered=2)
    house.target.answer = None
    assert house.redrive() == Counts(read=2, sent=1, dead_lettered=1)
    assert list(house.letters_by_row(file)) == [1]
    assert house.totals() == Counts(read=2, sent=1, dead_lettered=1)


def test_a_redrive_that_is_cleared_finds_nothing_to_do() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a", None]))
    house.refused = {"a"}
    house.deliver(file)
    house.refused = set()

    def is_refusal(letter: Letter) -> bool:
        return bool(letter["code"] == "MalformedDetail")

    assert house.redrive(is_refusal) == Counts(read=1, sent=1)
    assert house.redrive(is_refusal) == Counts()
    assert house.totals() == Counts(read=2, sent=1, dead_lettered=1)
    assert house.letters_by_row(file)[1]["attempts"] == 0
    assert house.ids() == {"a": 1}


def test_what_a_killed_redrive_sent_is_not_sent_by_the_next_and_its_letters_are_gone() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table([f"{row}" for row in range(40)]))
    house.refused = {f"{row}" for row in range(40)}
    house.deliver(file)
    house.refused = {"39"}

    def killed(*_: Any, **__: Any) -> None:
        raise SystemExit

    def answer(entry: Entry) -> Result:
        if entry.row < 30:
            return SENT
        # Long enough for what went before to be saved.
        time.sleep(0.02)
        return Failed("x", "", "outage")

    house.target.answer = answer
    with patch.object(Keeper, "_give_back", killed), pytest.raises(BaseException):  # noqa: B017, PT011
        house.delivery(wants_letter=every, beat_seconds=0.001).deliver({file.slice: [file]})
    house.crew.slept += LEASE_SECONDS + 1
    saved = house.totals()
    assert saved == Counts(read=40, sent=30, dead_lettered=10)
    house.target.answer = house.answer
    assert house.redrive() == Counts(read=10, sent=9, dead_lettered=1)
    assert list(house.letters_by_row(file)) == [39]
    assert house.totals() == Counts(read=40, sent=39, dead_lettered=1)
    assert house.ids() == {f"{row}": 1 for row in range(39)}


def test_a_letter_whose_id_was_accepted_elsewhere_ends_as_a_duplicate() -> None:
    house = Redriven()
    first = house.put(OPEN, "a.parquet", table(["a"]))
    house.refused = {"a"}
    house.deliver(first)
    house.refused = set()
    # The original never went, so that this is none of its duplicates.
    assert house.deliver(first, house.put(OPEN, "b.parquet", table(["a"]))) == Counts(read=1, sent=1)
    assert house.redrive() == Counts(read=1, duplicate=1)
    assert house.letters(first) == []
    assert house.ids() == {"a": 1}


def test_letters_of_a_row_that_a_setting_filters_by_now_end_as_filtered() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a", "b"], country=["DE", "US"]))
    house.refused = {"a", "b"}
    house.deliver(file)
    house.refused = set()
    house.connector = connector(filter=[{"field": "country", "in": ["US"]}])
    assert house.redrive() == Counts(read=2, sent=1, filtered=1)
    assert house.totals() == Counts(read=2, sent=1, filtered=1)
    assert house.letters(file) == []


def test_letters_of_a_file_that_is_gone_stay() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a"]))
    house.refused = {"a"}
    house.deliver(file)
    house.source.delete(file.key)
    before = house.letters_by_row(file)
    with pytest.raises(DeliveryError, match="changed or removed"):
        house.redrive()
    assert house.letters_by_row(file) == before
    assert house.totals() == Counts(read=1, dead_lettered=1)


def test_letters_of_a_file_that_is_not_done_are_its_deliverys() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a"]))
    claim = house.ledger.claim(file.slice, "a task")
    assert isinstance(claim, Claim)
    claim.swap([FileState(file, 0, "failed", reason="damaged", letters=("000001-a-1.letters",))], release=True)
    house.state.write("slices/date=2026-11-23-08/event_type=users.messages.email.Open/000001-a-1.letters", lines_of([]))
    assert house.redrive() == Counts()


ids = st.lists(st.none() | st.sampled_from("abcdefghij"), min_size=1, max_size=12)


@given(st.lists(ids, min_size=1, max_size=3), st.lists(st.sets(st.sampled_from("abcdefghij"))), st.integers(0, 6))
def test_however_often_redrives_end_early_nothing_is_lost_or_sent_twice(
    files: list[list[str | None]], refusals: list[set[str]], most: int
) -> None:
    house = Redriven()
    put = [house.put(OPEN, f"{number}.parquet", table(rows)) for number, rows in enumerate(files)]
    house.refused = set("abcdefghij")
    house.deliver(*put)
    for house.refused in [*refusals, set()]:
        house.most = len(house.target.accepted) + most if house.refused else None
        with suppress(StoppedError):
            house.redrive()
        house.totals()
    wanted = {each for rows in files for each in rows if each}
    assert house.ids() == dict.fromkeys(wanted, 1)
    left = [letter for file in put for letter in house.letters(file)]
    assert {letter["code"] for letter in left} <= {"no_id"}
    assert house.totals().dead_lettered == len(left) == sum(each is None for rows in files for each in rows)


def test_letters_of_files_that_were_not_planned_stay() -> None:
    """Whoever approved of a redrive approved of what was there then."""
    house = Redriven()
    planned, late = (house.put(OPEN, f"{name}.parquet", table([name])) for name in "ab")
    house.refused = {"a", "b"}
    house.deliver(planned)
    house.deliver(late)
    house.refused = set()
    totals = house.delivery(wants_letter=every).deliver({planned.slice: [planned]}).totals
    assert totals == Counts(read=1, sent=1)
    assert list(house.letters_by_row(late)) == [0]
