"""What a destination says it had already is counted, through kills, redrives and files that go."""

from __future__ import annotations

import json
from collections.abc import Collection

import pytest

from currents_aws.memory import MemoryTarget
from currents_core.books.account import DEDUPLICATED as NOTE
from currents_core.books.account import Counts
from currents_core.entry import Entry
from currents_core.errors import DeliveryError, TransientError
from currents_core.file_key import by_slice
from currents_core.limits import Limits
from currents_core.ports import DEDUPLICATED, Failed, Invalid, Result
from tests.tools.house import OPEN, House, table

OUTAGE = Failed("InternalFailure", "down", "outage")
REFUSED = Invalid("MalformedDetail", "no")


def answering(known: Collection[str], otherwise: Result = OUTAGE) -> MemoryTarget:
    """A destination that has some ids already, takes one entry a request, and answers all others alike."""

    def answer(entry: Entry) -> Result:
        return DEDUPLICATED if json.loads(entry.detail)["id"] in known else otherwise

    return MemoryTarget(Limits(1, 1_000_000, 1_000_000), answer)


def note(house: House) -> int:
    """What the books say of the only file; all places that say so agree."""
    [state] = house.states().values()
    assert state.account
    assert state.account.notes[NOTE] == state.deduplicated
    return state.deduplicated


def test_what_was_deduplicated_before_a_fault_and_after_it_adds_up() -> None:
    house = House(answering("abc"))
    file = house.put(OPEN, "a.parquet", table(list("abcdef")))
    with pytest.raises(TransientError):
        house.deliver(file)
    house.target = answering("abcdef")
    house.deliver(file)
    assert note(house) == 6
    assert house.account().totals == Counts(read=6, sent=6)


def test_a_redrive_that_ends_early_leaves_true_books_and_so_does_the_next() -> None:
    house = House(answering("a", REFUSED))
    house.deliver(house.put(OPEN, "a.parquet", table(["a", "b", "c"])))
    assert note(house) == 1
    house.target = answering("b")
    with pytest.raises(TransientError):
        house.redrive()
    assert note(house) == 2
    house.target = answering("c")
    house.redrive()
    assert note(house) == 3


def test_a_redrive_whose_file_can_not_be_read_any_more_changes_nothing() -> None:
    house = House(answering("a", REFUSED))
    file = house.put(OPEN, "a.parquet", table(["a", "b"]))
    house.deliver(file)
    house.source.contents[file.key] = b"x"
    with pytest.raises(DeliveryError):
        house.redrive()
    assert note(house) == 1


def test_a_file_that_goes_half_way_keeps_what_it_had() -> None:
    house = House(answering("a"))
    gone = house.put(OPEN, "a.parquet", table(["a", "b"]))
    other = house.put(OPEN, "b.parquet", table(["x"]))
    with pytest.raises(TransientError):
        house.deliver(gone)
    house.source.delete(gone.key)
    house.target = MemoryTarget()
    house.deliver(other)
    assert house.account().notes[NOTE] == 1


def test_what_a_trial_left_is_counted_once() -> None:
    house = House(answering("abcdef"))
    file = house.put(OPEN, "a.parquet", table(list("abcdef")))
    house.delivery(max_events=4).deliver(by_slice([file]))
    house.deliver(file)
    assert note(house) == 6
