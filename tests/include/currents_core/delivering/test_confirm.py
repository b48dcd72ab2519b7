from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import pytest

from currents_aws.memory import MemoryTarget
from currents_core.books.account import Counts
from currents_core.books.claim import Claim
from currents_core.delivering import confirm
from currents_core.delivering.confirm import Confirmer
from currents_core.entry import Span
from currents_core.errors import CurrentsError, DroppedError, SetupError, StoppedError, TransientError
from currents_core.ports import SENT, Sent
from tests.tools.entries import entries_of
from tests.tools.house import OPEN, Hands, House, table


class Looks:
    """A destination's looks: each ends as the next of ``fates`` says, and well when there are no more."""

    def __init__(self, *fates: Exception | None) -> None:
        self.fates = list(fates)
        self.count = 0
        self.meanwhile: Callable[[], Any] = lambda: None

    def __call__(self) -> None:
        self.count += 1
        self.meanwhile()
        if fate := self.fates.pop(0) if self.fates else None:
            raise fate


class Told:
    """A confirmer, what it passed on and what it said must end the delivery."""

    def __init__(self, looks: Looks | None, every: float = 1.0) -> None:
        self.crew = Hands()
        self.accepted: list[Span] = []
        self.faults: list[CurrentsError] = []
        self.confirmer = Confirmer(self.crew, looks, accept=self.accept, fail=self.faults.append, every=every)

    def accept(self, span: Span, _: Sent) -> None:
        self.accepted.append(span)

    def wait(self) -> None:
        """Waits for the look that is under way."""
        assert self.confirmer._looking
        self.confirmer._looking.result()

    def check(self) -> None:
        for fault in self.faults:
            raise fault


def span() -> Span:
    return Span(entries_of(["{}"]), 0, 1)


def house(looks: Looks) -> House:
    target = MemoryTarget()
    target.look = looks
    return House(target)


PENDING = SetupError("it is PENDING")
THROTTLED = TransientError("slow down")


def test_where_an_accepted_entry_has_arrived_nothing_is_held_back() -> None:
    told = Told(None)
    with told.confirmer:
        told.confirmer.accept(span(), SENT)
        assert len(told.accepted) == 1
        assert told.confirmer.hold() == 0
        told.confirmer.on_beat()


def test_a_look_passes_on_what_was_accepted_before_it_began_and_nothing_later() -> None:
    looks = Looks()
    told = Told(looks)
    with told.confirmer:
        first, second = span(), span()
        told.confirmer.accept(first, SENT)
        assert not told.accepted
        looks.meanwhile = lambda: told.confirmer.accept(second, SENT) if looks.count == 2 else None
        told.crew.sleep(1)
        told.confirmer.on_beat()
        told.wait()
        assert told.accepted == [first]
    assert told.accepted == [first, second]


def test_nothing_is_sent_to_a_destination_that_drops_it() -> None:
    one = house(Looks(PENDING))
    file = one.put(OPEN, "a.parquet", table(["x"]))
    with pytest.raises(SetupError, match="PENDING"):
        one.deliver(file)
    assert not one.target.accepted
    assert one.deliver(file) == Counts(read=1, sent=1)


@pytest.mark.parametrize("fault", [PENDING, DroppedError("created anew")])
def test_what_was_dropped_goes_again(fault: CurrentsError) -> None:
    one = house(Looks(None, fault))
    file = one.put(OPEN, "a.parquet", table(["x", "y"]))
    with pytest.raises(type(fault)):
        one.deliver(file)
    assert one.ids() == {"x": 1, "y": 1}, "they were accepted, and dropped"
    assert one.account().totals == Counts(), "the books say that nothing went"
    assert one.deliver(file) == Counts(read=2, sent=2)
    assert one.ids() == {"x": 2, "y": 2}


def test_a_look_that_fails_for_a_while_loses_nothing_and_repeats_nothing(caplog: pytest.LogCaptureFixture) -> None:
    one = house(Looks(None, THROTTLED, THROTTLED))
    file = one.put(OPEN, "a.parquet", table(["x", "y"]))
    assert one.deliver(file) == Counts(read=2, sent=2)
    assert one.ids() == {"x": 1, "y": 1}
    assert "can't be confirmed yet: slow down" in caplog.text


def test_a_look_that_fails_in_a_way_nobody_knows_of_loses_nothing_and_repeats_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = house(Looks(None, KeyError("Unknown")))
    file = one.put(OPEN, "a.parquet", table(["x", "y"]))
    assert one.deliver(file) == Counts(read=2, sent=2)
    assert one.ids() == {"x": 1, "y": 1}
    assert "unexpected failure of a look: KeyError('Unknown'); please report this" in caplog.text


def test_a_minute_without_a_look_that_tells_anything_ends_the_delivery() -> None:
    looks = Looks(None, THROTTLED, THROTTLED)
    told = Told(looks)
    expected = pytest.raises(TransientError, match="slow down")
    with expected, told.confirmer:
        told.confirmer.accept(span(), SENT)
        told.crew.sleep(59)
        told.confirmer._look_now()
        assert not told.faults
        told.crew.sleep(2)
        told.confirmer._look_now()
        assert told.faults == [THROTTLED]
        told.confirmer.accept(span(), SENT)
        told.confirmer.drain(told.check)
    assert looks.count == 3, "no more looks when the delivery ends"
    assert not told.accepted


def test_a_look_tells_nothing_of_what_was_more_than_a_minute_before() -> None:
    told = Told(Looks())
    expected = pytest.raises(DroppedError, match=r"nobody looked at the destination for 61 s.*clear the task")
    with expected, told.confirmer:
        told.confirmer.accept(span(), SENT)
        told.crew.sleep(61)
        told.confirmer.drain(told.check)
    assert not told.accepted


def test_sending_waits_for_a_look_when_the_last_is_too_long_ago() -> None:
    looks = Looks()
    told = Told(looks)
    with told.confirmer:
        assert told.confirmer.hold() == 0
        told.crew.sleep(14)
        told.confirmer.on_beat()
        assert looks.count == 1, "nothing waits, and anything may be sent"
        told.crew.sleep(2)
        assert told.confirmer.hold() > 0
        told.confirmer.on_beat()
        told.wait()
        assert looks.count == 2
        assert told.confirmer.hold() == 0


def test_nothing_is_sent_15_seconds_after_the_last_good_look_and_looks_a_minute_apart_tell_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = Told(Looks())
    monkeypatch.setattr(told.crew, "seconds", lambda: told.crew.slept)
    expected = pytest.raises(DroppedError, match="for 60 s")
    with expected, told.confirmer:
        told.crew.sleep(14.5)
        assert told.confirmer.hold() == 0
        told.crew.slept = 15.0
        assert told.confirmer.hold() > 0
        told.confirmer._look_now()
        assert told.confirmer.hold() == 0
        told.crew.slept += 59.5
        told.confirmer._look_now()
        assert not told.faults
        told.crew.slept += 60
        told.confirmer._look_now()
        told.confirmer.drain(told.check)


def test_a_delivery_that_has_nothing_to_send_for_minutes_goes_on() -> None:
    """Such as one that waits for another task, or reads rows that its filter leaves out."""
    told = Told(Looks())
    with told.confirmer:
        for _ in range(200):
            told.crew.sleep(1)
            told.confirmer.on_beat()
            if told.confirmer._looking:
                told.wait()
        one = span()
        told.confirmer.accept(one, SENT)
        told.confirmer.drain(told.check)
    assert told.accepted == [one]


@pytest.mark.parametrize("is_drained", [False, True])
def test_a_look_that_hangs_does_not_keep_a_task_that_is_told_to_stop(is_drained: bool) -> None:
    looks, ended = Looks(), Event()
    looks.meanwhile = lambda: ended.wait(20) if looks.count > 1 else None
    one = house(looks)
    file = one.put(OPEN, "a.parquet", table(["x", "y"]))
    delivery = one.delivery()
    if not is_drained:
        delivery._confirmer.drain = lambda _: ended.wait(2)  # type: ignore[method-assign, assignment]
    stopped_at = list[float]()

    def stop() -> None:
        while looks.count < 2:
            time.sleep(0.01)
        stopped_at.append(time.monotonic())
        delivery.stop()

    Thread(target=stop, daemon=True).start()
    with pytest.raises(StoppedError):
        delivery.deliver({file.slice: [file]})
    assert time.monotonic() - stopped_at[0] < 5
    claim = one.ledger.claim(file.slice, "the next try")
    assert isinstance(claim, Claim), "it was given back"
    claim.swap(release=True)
    ended.set()
    delivery._confirmer._looking.result()  # type: ignore[union-attr]
    assert one.account().totals == Counts(), "a look that ends too late passes nothing on"
    looks.meanwhile = lambda: None
    assert one.deliver(file) == Counts(read=2, sent=2)


@pytest.mark.parametrize(("hurry", "is_saved"), [(None, True), (1.0, False)])
def test_a_delivery_that_ends_by_a_fault_waits_for_a_slow_look_unless_somebody_is_in_a_hurry(
    hurry: float | None, is_saved: bool
) -> None:
    looks, ended = Looks(), Event()
    looks.meanwhile = lambda: ended.wait(3) if looks.count > 1 else None
    one = house(looks)
    file = one.put(OPEN, "a.parquet", table(["x", "y"]))
    delivery = one.delivery()

    def break_off(_: object) -> None:
        delivery._sender.fail(TransientError("the network is down"))
        if hurry is not None:
            delivery.stop(hurry)
        delivery._sender.check()

    delivery._confirmer.drain = break_off  # type: ignore[method-assign, assignment]
    with pytest.raises(TransientError, match="the network is down"):
        delivery.deliver({file.slice: [file]})
    ended.set()
    assert one.account().totals == (Counts(read=2, sent=2) if is_saved else Counts())


def test_a_delivery_that_is_to_end_ends_whether_something_waits_for_a_look_or_not() -> None:
    told = Told(Looks())
    with told.confirmer:
        told.faults.append(PENDING)
        with pytest.raises(SetupError, match="PENDING"):
            told.confirmer.drain(told.check)
        told.confirmer.accept(span(), SENT)
        with pytest.raises(SetupError, match="PENDING"):
            told.confirmer.drain(told.check)
        assert told.confirmer._looking is None, "and it looks no more"


def test_looks_are_as_far_apart_as_they_must_be() -> None:
    looks = Looks()
    told = Told(looks, every=5.0)
    with told.confirmer:
        for _ in range(20):
            told.confirmer.accept(span(), SENT)
            told.crew.sleep(1)
            told.confirmer.on_beat()
            told.wait()
        assert 4 <= looks.count <= 5


def test_a_delivery_that_is_told_to_stop_has_a_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirm, "_PAUSE", 0.001)
    looks = Looks()
    one = house(looks)
    file = one.put(OPEN, "a.parquet", table(["x", "y"]))
    delivery = one.delivery(max_events=1)
    assert delivery.deliver({file.slice: [file]}).totals == Counts()
    assert looks.count >= 2
    assert one.account().totals.sent == 0
    assert one.deliver(file) == Counts(read=2, sent=2)
    assert one.ids() == {"x": 1, "y": 1}


def test_a_delivery_that_reached_its_maximum_looks_again_where_a_look_fails() -> None:
    one = house(Looks(None, THROTTLED, THROTTLED))
    file = one.put(OPEN, "a.parquet", table(["x", "y"]))
    one.delivery(max_events=1).deliver({file.slice: [file]})
    assert one.deliver(file) == Counts(read=2, sent=2)
    assert one.ids() == {"x": 1, "y": 1}


def test_a_delivery_that_ends_early_and_can_not_confirm_fails() -> None:
    one = house(Looks(None, PENDING))
    file = one.put(OPEN, "a.parquet", table(["x", "y"]))
    with pytest.raises(SetupError, match="PENDING"):
        one.delivery(max_events=1).deliver({file.slice: [file]})
    assert one.deliver(file) == Counts(read=2, sent=2)
    assert one.ids() == {"x": 2, "y": 1}
