from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from currents_aws.memory import MemoryObjects
from currents_core.books.layout import Layout
from currents_core.crew import Threads
from currents_core.delivering import share
from currents_core.delivering.roll import Roll
from currents_core.delivering.share import Share
from currents_core.errors import SetupError, TransientError
from currents_core.ports import StoredObject
from currents_core.sending.pacer import Pacer
from tests.tools.awaiting import wait_for
from tests.tools.house import OPEN, House, table

LAYOUT = Layout("demo/")


def shared(store: MemoryObjects, **options: float) -> tuple[Pacer, Share]:
    crew = Threads()
    pacer = Pacer(1_000, None, clock=crew.seconds)
    return pacer, Share(Roll(store, LAYOUT, crew, owner="a task"), pacer, crew, **{"part": 0.25, **options})


def wait_for_share(pacer: Pacer, expected: float) -> None:
    deadline = time.monotonic() + 10
    while pacer.share != pytest.approx(expected, abs=1e-4):
        assert time.monotonic() < deadline, f"the share is {pacer.share}"
        pacer.take(1)
        time.sleep(0.0005)


class Refusing(MemoryObjects):
    """A state in which some requests are not allowed."""

    def __init__(self, what: str) -> None:
        super().__init__("state")
        self._what = what

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        self._refuse("list")
        return super().objects(prefix, after)

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        self._refuse("write")
        return super().write_version(key, body, replaces)

    def _refuse(self, what: str) -> None:
        if what == self._what:
            raise SetupError(f"{what} failed: AccessDenied; grant the permission", uri="s3://state/demo/budget/")


def test_a_task_tells_that_it_sends_and_who_it_is_until_it_ends() -> None:
    store = MemoryObjects("state")
    pacer, sharing = shared(store)
    assert pacer.share == 1.0
    with sharing:
        wait_for_share(pacer, 0.25)
        [(key, body)] = store.contents.items()
        assert key.startswith("demo/budget/")
        assert key.endswith("-0-250000-250000")
        assert body == b"a task"
    assert store.contents == {}
    assert pacer.share == 0.0


def test_a_task_that_is_held_back_borrows_what_nobody_else_wants() -> None:
    pacer, sharing = shared(MemoryObjects("state"))
    with sharing:
        wait_for_share(pacer, 0.25)
        wait_for_share(pacer, 1.0)


def test_a_task_that_has_sent_much_and_now_sends_little_gives_back_what_it_borrowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(share, "_LOOK_SECONDS", 0.02)
    store = MemoryObjects("state")
    pacer, sharing = shared(store)
    with sharing:
        wait_for_share(pacer, 1.0)
        while pacer.take(1_000) > 0:
            time.sleep(0.0005)
        wait_for(60, lambda: [key for key in list(store.contents) if key.endswith("-250000-250000")])
        assert pacer.share == 0.25


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("list", "can't see who shares the budget, and keeps to its part"),
        ("write", "keeps to its part of the budget, since it can't share it"),
    ],
)
def test_a_task_that_may_not_use_the_roll_keeps_to_its_part_and_says_so(
    what: str, told: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(share, "VALID_SECONDS", 0.2)
    monkeypatch.setattr(share, "_LOOK_SECONDS", 0.05)
    pacer, sharing = shared(Refusing(what))
    began = time.monotonic()
    with sharing:
        wait_for_share(pacer, 0.25)
        assert time.monotonic() - began >= 0.2
        time.sleep(0.3)
        assert pacer.share == 0.25
        assert caplog.messages == [
            f"a task: {told}: s3://state/demo/budget/: {what} failed: AccessDenied; grant the permission"
        ]
    assert pacer.share == 0.0


@pytest.mark.parametrize("error", [SetupError("AccessDenied"), RuntimeError("can't start new thread")])
@pytest.mark.parametrize("what", ["objects", "write_version"])
def test_a_task_that_fails_once_to_share_stays_known_and_borrows_again(
    what: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share, "VALID_SECONDS", 0.2)
    monkeypatch.setattr(share, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(share, "_SIGN_SECONDS", 0.05)
    store = MemoryObjects("state")
    pacer, sharing = shared(store)
    whole, failed = getattr(store, what), list[str]()

    def fail_once(*args: Any) -> Any:
        if not failed:
            failed.append(what)
            raise error
        return whole(*args)

    with sharing:
        wait_for_share(pacer, 1.0)
        monkeypatch.setattr(store, what, fail_once)
        wait_for(60, lambda: failed)
        wait_for_share(pacer, 1.0)
        assert [key for key in store.contents if key.startswith("demo/budget/")], "the others know of it"


def test_a_task_that_others_can_not_know_of_sends_nothing_until_they_can(monkeypatch: pytest.MonkeyPatch) -> None:
    class Down(MemoryObjects):
        is_down = True

        def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
            if self.is_down:
                raise TransientError("slow down")
            return super().write_version(key, body, replaces)

    monkeypatch.setattr(share, "_LOOK_SECONDS", 0.02)
    store = Down("state")
    pacer, sharing = shared(store)
    with sharing:
        time.sleep(0.1)
        assert pacer.share == 0.0
        assert pacer.take(1) > 0
        store.is_down = False
        wait_for_share(pacer, 0.25)
    assert store.contents == {}


def test_a_task_whose_sign_was_removed_tells_again_that_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(share, "_SIGN_SECONDS", 0.0)
    store = MemoryObjects("state")
    pacer, sharing = shared(store, limit=0.25)
    with sharing:
        wait_for_share(pacer, 0.25)
        [before] = store.contents
        store.delete(before)
        deadline = time.monotonic() + 10
        while not store.contents.keys() - {before}:
            assert time.monotonic() < deadline, "nobody knows of it"
            time.sleep(0.005)
        wait_for_share(pacer, 0.25)
    assert store.contents == {}


def test_a_task_ends_at_once_wherever_its_share_is() -> None:
    for seconds in (0.0, 0.01, 0.1):
        store = MemoryObjects("state")
        _, sharing = shared(store)
        began = time.monotonic()
        with sharing:
            time.sleep(seconds)
        # Its next look would be later.
        assert time.monotonic() - began < seconds + 1
        assert store.contents == {}


def test_a_delivery_has_its_share_while_it_sends_and_none_where_there_is_nothing_to_send() -> None:
    house = House()
    pacer, sharing = shared(house.state)
    file = house.put(OPEN, "a.parquet", table(["x", "y"]))
    assert house.delivery(pacer=pacer, share=sharing).deliver({file.slice: [file]}).totals.sent == 2
    assert not [key for key in house.state.contents if key.startswith(LAYOUT.budget)]
    pacer, sharing = shared(house.state)
    house.delivery(pacer=pacer, share=sharing).deliver({})
    assert pacer.share == 1.0
