from __future__ import annotations

import pyarrow as pa
import pytest

from currents_core.books.compact import QUIET_SECONDS, Compaction
from currents_core.books.find_id import IdSearch, Place
from currents_core.books.layout import Layout
from currents_core.errors import SetupError
from currents_core.file_key import Slice, SourceFile
from currents_core.ports import SENT, Invalid
from tests.tools.house import HOUR, OPEN, PURCHASE, House, table

EARLIER = "2026-11-22-23"


class Library(House):
    """A house with rows of every fate in two hours."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.put(OPEN, "a.parquet", table(["x", "y", "x"]), EARLIER)
        self.second = self.put(OPEN, "b.parquet", table(["z", "x"]), HOUR)
        self.other = self.put(PURCHASE, "c.parquet", table(["x"]), HOUR)
        self.deliver(self.first, self.second, self.other)

    def find(self, text: str, date: str) -> list[Place]:
        return IdSearch(self.state, Layout(), self.ledger, text).on(date)


def accepted(file: SourceFile, row: int) -> Place:
    return Place(file.slice, "accepted", file, row)


def test_an_id_is_found_wherever_it_was_accepted(library: Library) -> None:
    assert library.find("y", EARLIER[:10]) == [accepted(library.first, 1)]
    assert library.find("x", EARLIER[:10]) == [accepted(library.first, 0)], "the other is a duplicate"
    both = {accepted(library.second, 1), accepted(library.other, 0)}
    assert set(library.find("x", HOUR[:10])) == both, "ids are compared within event types"
    assert library.find("nobody", HOUR[:10]) == []


def test_it_is_found_in_a_compacted_day_and_once_only_when_its_slice_was_begun_again(library: Library) -> None:
    library.crew.slept += 2 * QUIET_SECONDS
    assert Compaction(library.state, Layout(), library.crew).compact(EARLIER[:10])
    assert library.find("y", EARLIER[:10]) == [accepted(library.first, 1)]
    late = library.put(OPEN, "late.parquet", table(["late", "y"]), EARLIER)
    library.deliver(late)
    assert library.find("y", EARLIER[:10]) == [accepted(library.first, 1)]
    assert library.find("late", EARLIER[:10]) == [accepted(late, 0)]


def test_a_day_that_gets_other_pages_meanwhile_is_searched_anew(library: Library) -> None:
    compaction = Compaction(library.state, Layout(), library.crew)
    library.crew.slept += 2 * QUIET_SECONDS
    assert compaction.compact(EARLIER[:10])
    library.deliver(library.put(OPEN, "late.parquet", table(["late"]), EARLIER))
    library.crew.slept += 2 * QUIET_SECONDS
    whole = library.state.read_part

    def meanwhile(key: str, start: int, size: int) -> bytes | None:
        library.state.read_part = whole  # type: ignore[method-assign]
        assert compaction.compact(EARLIER[:10])
        return whole(key, start, size)

    library.state.read_part = meanwhile  # type: ignore[method-assign]
    assert library.find("y", EARLIER[:10]) == [accepted(library.first, 1)]


def test_a_page_that_is_lost_is_no_answer(library: Library) -> None:
    library.crew.slept += 2 * QUIET_SECONDS
    assert Compaction(library.state, Layout(), library.crew).compact(EARLIER[:10])
    for key in [key for key in library.state.contents if "ids" in key.rpartition("/")[2]]:
        library.state.delete(key)
    with pytest.raises(SetupError, match="a page of ids has gone"):
        library.find("y", EARLIER[:10])


def test_a_dead_letter_is_found_with_its_reason_until_it_went() -> None:
    house = Library()
    house.target.answer = lambda entry: Invalid("NoWay", "not today") if "refused" in entry.detail else SENT
    file = house.put(OPEN, "d.parquet", table(["refused", "fine"]))
    house.deliver(file)
    [place] = house.find("refused", HOUR[:10])
    assert (place.fate, place.file, place.row, place.slice) == ("dead letter", file, 0, Slice(HOUR, OPEN))
    assert (place.code, place.reason) == ("NoWay", "not today")
    house.target.answer = None
    house.redrive()
    assert [place.fate for place in house.find("refused", HOUR[:10])] == ["accepted"]


def test_it_is_found_in_a_slice_without_a_type(library: Library) -> None:
    file = library.put(None, "e.parquet", table(["w"]).append_column("event_type", pa.array([OPEN])))
    library.deliver(file)
    assert library.find("w", HOUR[:10]) == [accepted(file, 0)]


@pytest.mark.parametrize("of_key", [OPEN, PURCHASE, None])
def test_it_is_found_whatever_type_the_row_has(library: Library, of_key: str | None) -> None:
    types = pa.array([OPEN, PURCHASE, "another"])
    file = library.put(of_key, "e.parquet", table(["u", "v", "w"]).append_column("event_type", types), EARLIER)
    library.deliver(file)
    for _ in range(2):
        for row, text in enumerate("uvw"):
            assert library.find(text, EARLIER[:10]) == [accepted(file, row)]
        assert library.find("none", EARLIER[:10]) == []
        library.crew.slept += 2 * QUIET_SECONDS
        Compaction(library.state, Layout(), library.crew).compact(EARLIER[:10])


def test_it_is_found_among_very_many() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table([f"id {number}" for number in range(5_000)]))
    house.deliver(file)
    assert IdSearch(house.state, Layout(), house.ledger, "id 4321").on(HOUR[:10]) == [accepted(file, 4321)]


@pytest.fixture
def library() -> Library:
    return Library()
