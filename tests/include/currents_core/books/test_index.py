from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_aws.memory import MemoryObjects
from currents_core.books.format import FORMAT
from currents_core.books.index import Index, IndexObject, window_start
from currents_core.books.layout import Layout
from currents_core.errors import ConflictError, SetupError, TransientError
from currents_core.file_key import Slice
from currents_core.hour import hours_back

HOUR = "2026-11-23-08"
HOURS = hours_back(HOUR, 6)
slices = st.builds(Slice, st.sampled_from(HOURS), st.sampled_from(["a", "é", "", None]))
indexes = st.builds(
    Index,
    st.text(max_size=5),
    st.sampled_from(["", *HOURS]),
    st.frozensets(st.sampled_from(HOURS)),
    st.dictionaries(st.sampled_from(HOURS), st.integers(0, 5)),
    st.dictionaries(slices, st.text("0123456789abcdef", min_size=1, max_size=5)),
    st.frozensets(slices),
    st.frozensets(st.sampled_from([f"{hour} drift" for hour in HOURS])),
)


@given(indexes)
def test_an_index_is_read_back(index: Index) -> None:
    store = MemoryObjects()
    assert IndexObject(store, Layout()).change(lambda _: index) == index
    assert IndexObject(store, Layout()).read() == index


@given(indexes, st.sampled_from(HOURS))
def test_without_what_is_before_an_hour_all_else_stays(index: Index, hour: str) -> None:
    later = index.since(hour)
    assert {*later.begun} == {each for each in index.begun if each >= hour}
    assert later.settled == {place: told for place, told in index.settled.items() if place.hour >= hour}
    assert (later.stream, later.first) == (index.stream, index.first)


@given(indexes, st.sets(st.sampled_from(HOURS)), slices)
def test_what_is_open_is_never_settled_and_a_new_account_replaces_what_was_open(
    index: Index, hours: set[str], place: Slice
) -> None:
    written = dict.fromkeys({*hours, place.hour}, 5)
    after = index.with_accounted(written, {}, {place})
    assert place in after.open
    assert place not in after.settled
    assert {each for each in after.open if each.hour in written} - {place} == set()
    assert after.accounted == {**index.accounted, **written}


@given(indexes, slices, st.integers(1, 5))
def test_what_was_noted_of_a_newer_manifest_stays(index: Index, place: Slice, seq: int) -> None:
    newer = index.with_accounted({place.hour: 6}, {}, {place})
    assert newer.with_accounted({place.hour: seq}, {place: "older"}, []) == newer


def test_an_index_of_an_earlier_version_names_hours_alone() -> None:
    store = MemoryObjects()
    IndexObject(store, Layout()).change(lambda _: Index(accounted=dict.fromkeys(HOURS, 0)))
    told = orjson.loads(store.contents["index.json"])
    store.write("index.json", orjson.dumps(told | {"accounted": HOURS}))
    assert IndexObject(store, Layout()).read() == Index(accounted=dict.fromkeys(HOURS, 0))


class Busy(MemoryObjects):
    """A bucket in which others are first so many times, or that does not answer."""

    def __init__(self, times: int, fault: Exception) -> None:
        super().__init__()
        self.times, self.fault = times, fault

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        if self.times:
            self.times -= 1
            raise self.fault
        return super().write_version(key, body, replaces)


@pytest.mark.parametrize("fault", [ConflictError("another was first"), TransientError("no answer")])
def test_others_who_are_first_lose_nothing(fault: Exception) -> None:
    store = Busy(7, fault)
    assert IndexObject(store, Layout()).change(lambda index: index.with_begun([HOUR])).begun == {HOUR}
    store.times = 8
    with pytest.raises(type(fault)):
        IndexObject(store, Layout()).change(lambda index: index.with_begun([HOURS[0]]))


def test_a_change_that_changes_nothing_writes_nothing() -> None:
    store = MemoryObjects()
    books = IndexObject(store, Layout())
    books.change(lambda index: index.with_begun([HOUR]))
    body: Any = store.contents["index.json"]
    books.change(lambda index: index.with_begun([HOUR]))
    assert store.contents["index.json"] is body


def test_an_index_of_a_newer_version_is_refused_by_name() -> None:
    store = MemoryObjects("state", {"index.json": b'{"format":%d}' % (FORMAT + 1)})
    with pytest.raises(SetupError, match=r"s3://state/index.json: .*upgrade this worker"):
        IndexObject(store, Layout()).read()


def test_a_window_ends_at_its_hour() -> None:
    assert (window_start(HOUR, 0), window_start(HOUR, 6)) == (HOUR, HOURS[0])
