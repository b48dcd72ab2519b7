from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_aws.memory import MemoryTarget
from currents_core.books.account import Counts
from currents_core.books.dead_letter import DeadLetters
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.seen_ids import DeliveredIds
from currents_core.delivering.redrive import Redrive
from currents_core.entry import Entry
from currents_core.errors import DeliveryError, SetupError, StoppedError, TransientError
from currents_core.file_key import SourceFile
from currents_core.ports import SENT, Failed, Invalid, Result
from tests.tools.house import HOUR, NOW, OPEN, PURCHASE, House, table


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

    def redrive(self, name: str) -> Redrive:
        own = Layout().of_run("redrives", name)
        return Redrive(
            name,
            self.ledger,
            self.dead_letters,
            Ledger(self.state, own),
            DeadLetters(self.state, own),
            DeadLetters(self.state, own.planned),
        )

    def send_again(self, redrive: Redrive, wants: Any = every) -> Counts:
        """Plans, sends and concludes, as the tasks of a run do."""
        planned = redrive.plan([HOUR], wants)
        files = [file for each in planned.values() for file in each]
        try:
            for mode, each in planned.items():
                self.running = self.delivery(
                    ledger=redrive.own_ledger,
                    dead_letters=redrive.own_letters,
                    delivered_ids=DeliveredIds(self.state, Layout().of_run("redrives", redrive.name)),
                    rows_of=redrive.rows,
                    mode=mode,
                )
                self.running.deliver(each)
        finally:
            totals = redrive.conclude(files, NOW).totals
        return totals

    def letters(self, file: SourceFile) -> dict[int, dict[str, Any]]:
        return {each["origin"]["row"]: each for each in self.dead_letters.read(file)}

    def totals(self) -> Counts:
        totals = self.ledger.account(HOUR).account.totals
        assert totals.balanced
        return totals


def test_what_goes_through_leaves_the_letters_and_what_does_not_stays_with_the_try_added() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a", None, "c", "d", "c"]))
    house.refused = {"a", "c"}
    house.deliver(file)
    assert house.totals() == Counts(read=5, sent=1, duplicate=1, dead_lettered=3)
    before = house.letters(file)

    house.refused = {"c"}
    assert house.send_again(house.redrive("one")) == Counts(read=3, sent=1, dead_lettered=2)
    assert house.totals() == Counts(read=5, sent=2, duplicate=1, dead_lettered=2)
    after = house.letters(file)
    assert list(after) == [1, 2]
    assert {row: after[row]["attempts"] - before[row]["attempts"] for row in after} == {1: 1, 2: 1}
    assert after[2]["first_at"] == before[2]["first_at"]
    assert after[1]["code"] == "no_id"

    house.refused = set()
    assert house.send_again(house.redrive("two")) == Counts(read=2, sent=1, dead_lettered=1)
    assert house.ids() == {"a": 1, "c": 1, "d": 1}
    assert list(house.letters(file)) == [1]


def test_only_the_letters_that_are_meant_are_taken() -> None:
    house = Redriven()
    opens = house.put(OPEN, "a.parquet", table(["a", None]))
    purchases = house.put(PURCHASE, "b.parquet", table(["b", None]))
    house.refused = {"a", "b"}
    house.deliver(opens, purchases)
    house.refused = set()

    def is_meant(letter: Mapping[str, Any]) -> bool:
        return bool(letter["code"] == "MalformedDetail" and letter["event_type"] == PURCHASE)

    assert house.send_again(house.redrive("one"), is_meant) == Counts(read=1, sent=1)
    assert house.ids() == {"b": 1}
    assert list(house.letters(opens)) == [0, 1]
    assert list(house.letters(purchases)) == [1]


def test_letters_of_a_backfill_go_as_such() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a"]))
    house.refused = {"a"}
    house.delivery(mode="backfill").deliver([file])
    house.refused = set()
    house.send_again(house.redrive("one"))
    [entry] = house.target.accepted
    assert json.loads(entry.detail)["currents_export"] == {"mode": "backfill"}


def test_a_redrive_that_ends_early_keeps_the_letters_that_it_would_have_parked_again() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a", None]))
    house.refused = {"a"}
    house.deliver(file)
    redrive = house.redrive("one")
    house.target.answer = lambda _: Failed("InternalFailure", "down", "outage")
    with pytest.raises(TransientError, match="still refused"):
        house.send_again(redrive)
    assert list(house.letters(file)) == [0, 1]
    assert house.totals() == Counts(read=2, dead_lettered=2)
    house.target.answer = None
    assert house.send_again(redrive) == Counts(read=2, sent=1, dead_lettered=1)
    assert list(house.letters(file)) == [1]
    assert house.totals() == Counts(read=2, sent=1, dead_lettered=1)


def test_concluding_and_planning_again_changes_nothing() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a", None]))
    house.refused = {"a"}
    house.deliver(file)
    house.refused = set()
    redrive = house.redrive("one")
    assert house.send_again(redrive) == house.send_again(redrive) == Counts(read=2, sent=1, dead_lettered=1)
    assert house.totals() == Counts(read=2, sent=1, dead_lettered=1)
    assert house.letters(file)[1]["attempts"] == 1
    assert house.ids() == {"a": 1}


def test_letters_of_a_file_that_is_gone_stay() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a"]))
    house.refused = {"a"}
    house.deliver(file)
    house.source.delete(file.key)
    before = house.letters(file)
    with pytest.raises(DeliveryError, match="changed or removed"):
        house.send_again(house.redrive("one"))
    assert house.letters(file) == before
    assert house.totals() == Counts(read=1, dead_lettered=1)


def test_letters_of_a_file_that_is_not_settled_are_its_deliverys() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", table(["a"]))
    house.refused = {"a"}
    house.deliver(file)
    house.state.delete(f"ledger/date={HOUR}/done/{file.id}.json")
    assert house.redrive("one").plan([HOUR], every) == {}
    with pytest.raises(SetupError, match="its record is gone from the ledger"):
        house.ledger.adjust(file, "one", house.ledger.account(HOUR).account, NOW)


ids = st.lists(st.none() | st.sampled_from("abcdefghij"), min_size=1, max_size=12)


@given(st.lists(ids, min_size=1, max_size=3), st.lists(st.sets(st.sampled_from("abcdefghij"))), st.integers(0, 6))
def test_however_often_redrives_end_early_nothing_is_lost_or_sent_twice(
    files: list[list[str | None]], refusals: list[set[str]], most: int
) -> None:
    house = Redriven()
    put = [house.put(OPEN, f"{number}.parquet", table(rows)) for number, rows in enumerate(files)]
    house.refused = set("abcdefghij")
    house.deliver(*put)
    for number, house.refused in enumerate([*refusals, set()]):
        house.most = len(house.target.accepted) + most if house.refused else None
        with suppress(StoppedError):
            house.send_again(house.redrive(f"{number}"))
        house.totals()
    wanted = {each for rows in files for each in rows if each}
    assert house.ids() == dict.fromkeys(wanted, 1)
    left = [letter for file in put for letter in house.letters(file).values()]
    assert {letter["code"] for letter in left} <= {"no_id"}
    assert house.totals().dead_lettered == len(left) == sum(each is None for rows in files for each in rows)


def test_rows_that_are_not_meant_are_as_if_they_were_not_there() -> None:
    house = Redriven()
    file = house.put(OPEN, "a.parquet", pa.table({"id": list("abcd"), "time": range(4)}))
    account = house.delivery(rows_of=lambda _: [1, 3]).deliver([file])
    assert account.totals == Counts(read=2, sent=2)
    assert house.ids() == {"b": 1, "d": 1}
