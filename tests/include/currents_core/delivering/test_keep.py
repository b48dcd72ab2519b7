from __future__ import annotations

from itertools import count
from threading import Event, Thread
from typing import Any

import pytest

from currents_aws.memory import MemoryObjects, MemoryTarget
from currents_core.books.claim import Claim
from currents_core.books.pages import Pages
from currents_core.delivering import keep
from currents_core.delivering.keep import Keeper
from currents_core.delivering.open_slice import OpenSlice
from currents_core.entry import Entry
from currents_core.errors import CurrentsError, TransientError
from currents_core.limits import Limits
from currents_core.ports import Failed, Result, Sent
from currents_core.sending.pacer import Pacer
from currents_core.sending.retry import Backoff
from tests.tools.awaiting import wait_for
from tests.tools.house import OPEN, PURCHASE, House, table
from tests.tools.thread_room import ThreadRoom


@pytest.fixture
def merging(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Each slice has pages to be merged once it is through, and shows often that its task is alive."""
    monkeypatch.setattr(Claim, "_is_tidy", staticmethod(lambda _: False))
    monkeypatch.setattr(keep, "_IDLE_SECONDS", 0.01)
    return monkeypatch


def test_a_task_shows_that_it_is_alive_while_it_merges_pages(merging: pytest.MonkeyPatch) -> None:
    house = House()
    file = house.put(OPEN, "a", table(["x"]))
    seen: list[int] = []

    def seq() -> int:
        head = house.ledger.head(file.slice)
        assert head
        return head.seq

    def slow(claim: Claim) -> Any:
        seen.append(seq())
        wait_for(60, lambda: seq() > seen[0] + 2)
        return claim.head

    merging.setattr(Claim, "tidied", slow)
    house.delivery(beat_seconds=0.01).deliver({file.slice: [file]})
    head = house.ledger.head(file.slice)
    assert head
    assert head.owner is None
    assert len(seen) == 1
    assert house.done() == {file.id}


def test_a_task_shows_that_it_is_alive_while_it_removes_pages(merging: pytest.MonkeyPatch) -> None:
    house = House()
    file = house.put(OPEN, "a", table(["x"]))
    removed: list[str] = []

    def seq() -> int:
        head = house.ledger.head(file.slice)
        assert head
        assert head.owner
        return head.seq

    def slow(_: Pages, names: list[str]) -> None:
        before = seq()
        wait_for(60, lambda: seq() > before + 2)
        removed.extend(names)

    merging.setattr(Claim, "tidy", lambda *_: ["1-a-0.ids"])
    merging.setattr(Pages, "remove", slow)
    house.delivery(beat_seconds=0.01).deliver({file.slice: [file]})
    head = house.ledger.head(file.slice)
    assert head
    assert head.owner is None
    assert removed == ["1-a-0.ids"]


def test_pages_that_can_not_be_merged_stay_and_the_slice_is_given_back(
    merging: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Claim) -> None:
        raise TransientError("SlowDown")

    house = House()
    file = house.put(OPEN, "a", table(["x"]))
    merging.setattr(Claim, "tidied", fail)
    assert house.deliver(file).sent == 1
    head = house.ledger.head(file.slice)
    assert head
    assert head.owner is None
    assert "its pages stay as they are: SlowDown" in caplog.text


class Away(MemoryObjects):
    """A store that takes no head for so many attempts."""

    left = 0

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        if self.left and key.endswith("head.json"):
            self.left -= 1
            raise TransientError("SlowDown")
        return super().write_version(key, body, replaces)


@pytest.mark.parametrize("by_stop", [False, True])
def test_a_delivery_that_ends_while_the_state_is_away_saves_what_it_sent_unless_somebody_waits(
    by_stop: bool, caplog: pytest.LogCaptureFixture
) -> None:
    house, store, rows = House(), Away(), [str(row) for row in range(100)]
    house.keep_state_in(store)
    file = house.put(OPEN, "a", table([*rows]))

    def answer(_: Entry) -> Result:
        if len(house.target.accepted) < 50:
            return Sent()
        if len(house.target.accepted) == 50 and not store.left:
            store.left = 1_000_000 if by_stop else 100
            if by_stop:
                house.running.stop()
        return Failed("InternalFailure", "down", "outage")

    house.target.answer = answer
    house.running = house.delivery(beat_seconds=0.01)
    with pytest.raises(TransientError):
        house.running.deliver({file.slice: [file]})
    assert bool(store.left) is by_stop
    assert caplog.text.count("the checkpoint is late") <= 1
    house.target.answer, store.left = None, 0
    house.deliver(file)
    assert house.ids().keys() == set(rows)
    assert (house.ids().total() > len(rows)) is by_stop, "what was not saved goes again"


def test_a_beat_that_fails_ends_the_delivery_which_saves_what_was_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    house, rows, failed = House(), [str(row) for row in range(100)], Event()
    file = house.put(OPEN, "a", table([*rows]))

    def answer(_: Entry) -> Result:
        if len(house.target.accepted) == 50:
            assert failed.wait(10)
        return Sent()

    def fail() -> None:
        if len(house.target.accepted) == 50:
            failed.set()
            raise RuntimeError("can't start new thread")

    house.target.answer = answer
    house.running = house.delivery(beat_seconds=0.01)
    monkeypatch.setattr(house.running._confirmer, "on_beat", fail)
    with pytest.raises(CurrentsError, match=r"the beat: RuntimeError\(.can't start new thread.\); please report this"):
        house.running.deliver({file.slice: [file]})
    house.target.answer = None
    house.deliver(file)
    assert house.ids() == dict.fromkeys(rows, 1)


def test_a_delivery_on_a_machine_without_room_for_another_thread_ends_and_saves_what_was_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house, rows, room = House(), [str(row) for row in range(100)], ThreadRoom(monkeypatch, 1_000)
    file = house.put(OPEN, "a", table([*rows]))

    def answer(_: Entry) -> Result:
        if len(house.target.accepted) == 50:
            room.left = 0
            wait_for(10, lambda: room.refused)
        return Sent()

    house.target.answer = answer
    with pytest.raises(TransientError, match="no room for another thread"):
        house.delivery(beat_seconds=0.01).deliver({file.slice: [file]})
    house.target.answer, room.left = None, 1_000
    house.deliver(file)
    assert house.ids() == dict.fromkeys(rows, 1)


def test_a_file_that_another_checkpoint_settles_meanwhile_is_settled_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Each event has a request of its own.
    house, failed = House(MemoryTarget(Limits(1, 1_000_000, 1_000_000))), list[str]()
    files = [house.put(OPEN, "a", table(["x", None])), house.put(OPEN, "b", table(["y"]))]
    park, swap = Keeper._parked, Claim.swap

    def swapped(claim: Claim, states: Any = (), ids: Any = (), **asked: Any) -> Any:
        if not failed and any(state.fate == "done" for state in states):
            failed.append("the swap that was to settle the file got no answer")
            raise TransientError("SlowDown")
        return swap(claim, states, ids, **asked)

    def parked(keeper: Keeper, opened: OpenSlice, through: Any) -> Any:
        if failed:
            # A checkpoint that has waited makes up for it, and closes the file.
            keeper._save(opened)
        return park(keeper, opened, through)

    def answer(entry: Entry) -> Result:
        is_settled = files[0].id in house.done()
        return Sent() if is_settled or '"y"' not in entry.detail else Failed("InternalFailure", "down", "outage")

    monkeypatch.setattr(Claim, "swap", swapped)
    monkeypatch.setattr(Keeper, "_parked", parked)
    house.target.answer = answer
    backoff = Backoff(attempts=1_000, base=0.01, patience=20.0)
    house.delivery(beat_seconds=0.01, backoff=backoff).deliver({files[0].slice: files})
    assert failed
    assert "unexpected failure" not in caplog.text
    assert house.done() == {file.id for file in files}
    assert len(house.letters()) == 1


class Slow(MemoryObjects):
    """A store that takes no other head, once it was told so, until ``go``."""

    is_slow = False

    def __init__(self) -> None:
        super().__init__()
        self.go = Event()

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        if self.is_slow and key.endswith("head.json"):
            assert self.go.wait(30)
        return super().write_version(key, body, replaces)


def test_while_checkpoints_take_long_no_more_is_sent_than_a_kill_may_have_go_again() -> None:
    house, store, rows = House(), Slow(), [str(row) for row in range(200)]
    house.keep_state_in(store)
    file = house.put(OPEN, "a", table([*rows]))

    def answer(_: Entry) -> Result:
        store.is_slow = True
        return Sent()

    house.target.answer = answer
    # Only what is not saved holds it up, as an hour passes between two looks at the clock.
    pacer = Pacer(None, 50, clock=count(0.0, 3_600.0).__next__)
    delivery = house.delivery(beat_seconds=0.01, pacer=pacer)
    thread = Thread(target=delivery.deliver, args=[{file.slice: [file]}])
    thread.start()
    wait_for(30, lambda: len(house.target.accepted) >= 50)
    thread.join(0.3)
    assert len(house.target.accepted) == 50
    store.go.set()
    thread.join(30)
    assert house.ids() == dict.fromkeys(rows, 1)
    assert house.done() == {file.id}


def test_a_last_checkpoint_that_fails_keeps_no_other_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    files = [house.put(kind, "a", table(["x"])) for kind in (OPEN, PURCHASE)]
    real = Keeper._save_last

    def save_last(keeper: Keeper, opened: OpenSlice) -> None:
        if opened.place == files[0].slice:
            raise ValueError("a mistake")
        real(keeper, opened)

    monkeypatch.setattr(Keeper, "_save_last", save_last)
    house.target.answer = lambda _: Failed("InternalFailure", "down", "outage")
    with pytest.raises(TransientError, match="still refused"):
        house.deliver(*files)
    owners = [head.owner for file in files if (head := house.ledger.head(file.slice))]
    assert len(owners) == 2
    assert owners[0]
    assert owners[1] is None
