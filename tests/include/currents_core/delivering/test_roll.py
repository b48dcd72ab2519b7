from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from currents_aws.memory import MemoryObjects
from currents_core.books.layout import Layout, Member, member_of
from currents_core.crew import Job
from currents_core.delivering.roll import Roll
from currents_core.errors import ConflictError, SetupError, TransientError
from currents_core.ports import StoredObject
from tests.tools.house import Hands

LAYOUT = Layout("demo/")
HOUR_SECONDS = 3_600.0
Result = TypeVar("Result")


class Store(MemoryObjects):
    """A state whose clock is set by hand, and some of whose requests fail."""

    def __init__(self) -> None:
        super().__init__("state", clock=lambda: self.now)
        self.now = 1_000_000.0
        self.faults: dict[str, Exception] = {}

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        self._fail("list")
        return super().objects(prefix, after)

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        self._fail("write")
        return super().write_version(key, body, replaces)

    def delete(self, key: str) -> None:
        self._fail("delete")
        super().delete(key)

    def _fail(self, what: str) -> None:
        if fault := self.faults.get(what):
            raise fault


class NowHands(Hands):
    """Hands that have done their work when they say that they began it."""

    def start(self, work: Callable[..., Result], *given: Any) -> Job[Result]:
        job = super().start(work, *given)
        job.result()
        return job


def roll(store: Store, token: str = "one") -> Roll:
    return Roll(store, LAYOUT, NowHands(), owner=f"task {token}", token=token)


def members(store: Store) -> list[Member | None]:
    return [member_of(key) for key in store.contents]


def test_what_a_task_tells_takes_the_place_of_what_it_told_before_and_goes_with_it() -> None:
    store = Store()
    one, other = roll(store), roll(store, "other")
    assert one.tell(0.25, 0.25)
    assert one.tell(0.25, 1.0)
    assert other.tell(0.5, 0.5)
    assert members(store) == [Member("one", 0.25, 1.0), Member("other", 0.5, 0.5)]
    assert set(store.contents.values()) == {b"task one", b"task other"}
    one.leave()
    assert members(store) == [Member("other", 0.5, 0.5)]


def test_whatever_was_written_without_an_answer_goes_in_the_end() -> None:
    class Mute(Store):
        def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
            super().write_version(key, body, replaces)
            raise TransientError("no answer")

    store = Mute()
    one = roll(store)
    assert not one.tell(0.25, 0.25)
    assert not one.tell(0.25, 1.0)
    assert len(store.contents) == 2, "nobody knows whether they are there"
    one.leave()
    assert not store.contents


def test_a_removal_that_failed_is_made_up_for() -> None:
    store = Store()
    one = roll(store)
    one.tell(0.25, 0.25)
    store.faults["delete"] = TransientError("slow down")
    assert one.tell(0.25, 0.5)
    assert len(store.contents) == 2
    store.faults.clear()
    assert one.tell(0.25, 1.0)
    assert members(store) == [Member("one", 0.25, 1.0)]


def test_a_sign_of_life_makes_it_young_and_says_whether_it_arrived() -> None:
    store = Store()
    one = roll(store)
    one.tell(0.25, 0.25)
    store.now += 100
    assert one.renew()
    [found] = one.read() or []
    assert found.age == 0
    store.faults["write"] = TransientError("slow down")
    assert not one.renew()
    store.faults["write"] = SetupError("AccessDenied")
    with pytest.raises(SetupError):
        one.renew()
    store.faults.clear()
    assert one.renew()
    store.contents.clear()
    with pytest.raises(ConflictError):
        one.renew()


def test_what_a_task_that_died_told_is_removed_after_an_hour_by_whoever_sees_it() -> None:
    store = Store()
    dead, one = roll(store, "dead"), roll(store)
    dead.tell(0.25, 1.0)
    store.now += HOUR_SECONDS
    one.tell(0.25, 0.25)
    assert len(one.read() or []) == 2
    assert len(store.contents) == 2
    store.now += 1
    assert len(one.read() or []) == 2, "it tells what it found"
    assert members(store) == [Member("one", 0.25, 0.25)]


def test_a_reading_without_an_answer_is_none() -> None:
    store = Store()
    store.faults["list"] = TransientError("slow down")
    assert roll(store).read() is None
    assert roll(Store()).read() == []
