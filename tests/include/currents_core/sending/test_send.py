from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Thread, Timer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from currents_aws.memory import MemoryTarget
from currents_core.crew import Signal, Threads
from currents_core.entry import Entry, Span
from currents_core.errors import SetupError, StoppedError, TransientError
from currents_core.ports import Completion, Failed, Invalid, Result, Sent
from currents_core.sending.circuit import Circuit
from currents_core.sending.pacer import Pacer
from currents_core.sending.retry import Backoff
from currents_core.sending.send import Sender
from currents_core.sending.verdict import Refused
from tests.tools.entries import make_entries


@dataclass
class Told:
    """What a sender told of its entries."""

    accepted: list[int] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def sender(
    target: MemoryTarget, told: Told | None = None, *, attempts: int = 8, circuit: Circuit | None = None
) -> Sender:
    told = told or Told()
    return Sender(
        target,
        Pacer(None, None),
        acknowledge=lambda span, _result: told.accepted.extend(span.rows),
        refuse=told.refused.append,
        backoff=Backoff(attempts=attempts, base=0.0001, cap=0.001, patience=0.0),
        circuit=circuit,
    )


def send(
    target: MemoryTarget,
    count: int,
    *,
    attempts: int = 8,
    circuit: Circuit | None = None,
    told: Told | None = None,
) -> tuple[Told, Sender]:
    told = told or Told()
    with sender(target, told, attempts=attempts, circuit=circuit) as sending:
        sending.put(make_entries(count))
        sending.drain()
    return told, sending


@settings(max_examples=50)
@given(st.lists(st.lists(st.sampled_from(["ok", "fail", "odd", "final"]), min_size=1, max_size=6), max_size=35))
def test_every_entry_is_accepted_once_or_refused_whatever_is_answered(script: list[list[str]]) -> None:
    """``script`` holds, per entry, what each of its attempts is answered; after that it is accepted."""
    answers = {row: list(each) for row, each in enumerate(script)}
    meanings: dict[str, Result] = {
        "ok": Sent(),
        "fail": Failed("ThrottlingException", "", "throttled"),
        "odd": Failed("NobodyKnows", "", "undocumented"),
        "final": Invalid("MalformedDetail", "no"),
    }
    target = MemoryTarget(answer=lambda entry: meanings[answers[entry.row].pop(0) if answers[entry.row] else "ok"])
    told, _ = send(target, len(script))
    ends = [next((end for end in each if end in ("ok", "final")), "ok") for each in script]
    assert Counter(each.code for each in told.refused) == Counter(MalformedDetail=ends.count("final"))
    assert sorted([*told.accepted, *(each.span.rows[0] for each in told.refused)]) == list(range(len(script)))
    assert sorted(told.accepted) == sorted(entry.row for entry in target.accepted)


def test_only_the_failed_entries_go_again_together() -> None:
    failing = {3: 1, 7: 1}

    def answer(entry: Entry) -> Result:
        left = failing.get(entry.row, 0)
        failing[entry.row] = left - 1
        return Failed("InternalFailure", "", "outage") if left > 0 else Sent()

    target = MemoryTarget(answer=answer)
    told, sending = send(target, 10)
    assert sorted(told.accepted) == list(range(10))
    assert sum(target.requests) == 12
    assert (sending.figures.sent, sending.figures.failed, sending.figures.throttled) == (10, 2, 0)


def test_as_many_bytes_as_may_wait_are_left_when_putting_ends() -> None:
    class Slow(MemoryTarget):
        def send(self, chunk: Sequence[Span], complete: Completion) -> None:
            Timer(0.01, super().send, (chunk, complete)).start()

    told = Told()
    with sender(Slow(), told) as sending:
        sending.put(make_entries(20, sizes=[600_000] * 20))
        # One of them is as much as may wait; it may be accepted by now.
        assert 19 <= len(told.accepted) <= 20
        sending.drain()
    assert len(told.accepted) == 20


def test_requests_are_filled_from_whatever_was_put() -> None:
    target, told = MemoryTarget(), Told()
    with sender(target, told) as sending:
        for number in range(25):
            sending.put(make_entries(1, first=number))
        sending.drain()
    assert sorted(target.requests) == [5, 10, 10]


def test_a_request_that_is_not_full_goes_after_a_moment() -> None:
    target, told = MemoryTarget(), Told()
    with sender(target, told) as sending:
        sending.put(make_entries(3))
        assert told.accepted == []
        sending.pump(0.5)
        sending.pump(0.5)
    assert told.accepted == [0, 1, 2]


def test_known_passing_faults_are_left_to_the_task_after_the_last_attempt() -> None:
    target = MemoryTarget(answer=lambda entry: Failed("ThrottlingException", "slow down", "throttled"))
    with pytest.raises(TransientError, match=r"r, row 0: .* 3 attempts: ThrottlingException.*resume"):
        send(target, 1, attempts=3)
    assert target.requests == [1, 1, 1]


def test_codes_that_nobody_documents_become_dead_letters_after_the_last_attempt() -> None:
    told, _ = send(MemoryTarget(answer=lambda entry: Failed("Brandnew", "?", "undocumented")), 2, attempts=3)
    assert [(each.code, each.attempts) for each in told.refused] == [("Brandnew", 3)] * 2


@pytest.mark.parametrize("count", [3, 19, 90])
def test_the_last_entries_of_a_delivery_become_dead_letters_too_though_nothing_else_gets_through(count: int) -> None:
    told, _ = send(MemoryTarget(answer=lambda entry: Failed("Brandnew", "?", "undocumented")), count, attempts=10)
    assert sorted(row for each in told.refused for row in each.span.rows) == [*range(count)]
    assert {each.attempts for each in told.refused} == {10}


def test_an_outage_that_nobody_documents_parks_few_rows_and_ends_the_task() -> None:
    told, down = Told(), MemoryTarget(answer=lambda entry: Failed("Brandnew", "?", "undocumented"))
    circuit = Circuit(patience=0.3, backoff=Backoff(base=0.001, cap=0.01))
    with pytest.raises(TransientError, match=r"Brandnew \?.*resume once the service is back"):
        send(down, 5_000, circuit=circuit, told=told)
    assert len(told.refused) <= 100


def test_one_entry_that_spoils_its_request_is_refused_alone() -> None:
    class Strict(MemoryTarget):
        def send(self, chunk: Sequence[Span], complete: Completion) -> None:
            count = sum(map(len, chunk))
            if any(4 in span.rows for span in chunk):
                self.requests.append(count)
                complete([Invalid("ValidationException", "no", whole_request=True)] * count)
            else:
                super().send(chunk, complete)

    told, _ = send(Strict(), 10)
    assert sorted(told.accepted) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert [(each.span.rows, each.attempts) for each in told.refused] == [([4], 2)]


def test_a_wrong_set_up_ends_the_sending() -> None:
    class Refusing(MemoryTarget):
        def send(self, chunk: Sequence[Span], complete: Completion) -> None:
            complete(SetupError("no permission"))

    with pytest.raises(SetupError, match="no permission"):
        send(Refusing(), random.randint(1, 50))


def test_a_row_of_refusals_by_policy_ends_the_sending_instead_of_parking_the_hour() -> None:
    told = Told()
    target = MemoryTarget(answer=lambda entry: Invalid("AccessDeniedException", "not you", by_policy=True))
    with pytest.raises(SetupError, match=r"100 entries in a row .* AccessDeniedException not you; correct the policy"):
        send(target, 5_000, told=told)
    assert len(target.accepted) == 0
    assert len(told.refused) < 300


def test_some_refusals_by_policy_are_those_entries_own() -> None:
    def answer(entry: Entry) -> Result:
        return Invalid("NotAuthorizedForDetailTypeException", "", by_policy=True) if entry.row % 2 else Sent()

    told, _ = send(MemoryTarget(answer=answer), 1_000)
    assert (len(told.accepted), len(told.refused)) == (500, 500)


def test_when_nothing_gets_through_probes_go_until_patience_ends() -> None:
    target = MemoryTarget(answer=lambda entry: Failed("InternalFailure", "down", "outage"))
    circuit = Circuit(patience=0.5, backoff=Backoff(base=0.05, cap=0.1))
    with pytest.raises(TransientError, match=r"nothing got through .*; the last answer was InternalFailure down;"):
        send(target, 10_000, attempts=100, circuit=circuit)
    # 20 failures open the circuit; after that it is one request at a time, some tens of milliseconds apart.
    assert 20 < len(target.requests) < 60


def test_a_service_that_comes_back_is_used_again() -> None:
    left = list(range(600))
    down = Failed("InternalFailure", "", "outage")
    target = MemoryTarget(answer=lambda entry: down if left and left.pop() >= 0 else Sent())
    told, _ = send(target, 500, attempts=100, circuit=Circuit(backoff=Backoff(base=0.01, cap=0.02)))
    assert sorted(told.accepted) == list(range(500))


def test_entries_that_were_maybe_accepted_are_counted() -> None:
    answers: list[Result] = [Failed("InternalFailure", "cut", "outage", maybe_accepted=True)] * 10
    target = MemoryTarget(answer=lambda entry: answers.pop() if answers else Sent())
    told, sending = send(target, 10)
    assert sending.figures.maybe_accepted == 10
    assert sorted(told.accepted) == list(range(10))


class Slow(MemoryTarget):
    """Answers when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Callable[[], None]] = []

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        self.held.append(lambda: super(Slow, self).send(chunk, complete))


def test_no_more_requests_are_under_way_than_the_target_takes() -> None:
    target, told = Slow(), Told()
    with sender(target, told) as sending:
        sending.put(make_entries(1_000))
        while len(told.accepted) < 1_000:
            assert len(target.held) <= target.in_flight
            for answer in [target.held.pop() for _ in range(len(target.held))]:
                answer()
            sending.pump(0.0)
        sending.drain()


def test_stopping_waits_for_what_is_under_way_and_starts_nothing_more() -> None:
    target, told = Slow(), Told()
    with sender(target, told) as sending:
        sending.put(make_entries(1_000))
        assert len(target.held) == target.in_flight
        sending.fail(StoppedError("told to stop"))
        # The answers come while the sender is left.
        timer = Timer(0.2, lambda: [answer() for answer in target.held])
        timer.start()
    timer.join()
    assert len(told.accepted) == len(target.accepted) == target.in_flight * 10
    with pytest.raises(StoppedError):
        sending.put(make_entries(1))
    with pytest.raises(StoppedError):
        sending.drain()


class Making(Slow):
    """Takes one request at a time. Making the second one takes until ``go``."""

    def __init__(self) -> None:
        super().__init__()
        self.in_flight = 1
        self.makes, self.go = Event(), Event()

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        super().send(chunk, complete)
        if len(self.held) == 2:
            self.makes.set()
            self.go.wait(10)

    def begin(self) -> None:
        """Has another thread bring the first answer, and make the second request thereupon."""
        Thread(target=self.held[0]).start()
        assert self.makes.wait(10)


def test_the_answer_to_a_request_that_is_being_made_when_sending_stops_is_waited_for() -> None:
    target, told = Making(), Told()
    with sender(target, told) as sending:
        sending.put(make_entries(20))
        target.begin()
        Timer(0.1, target.go.set).start()
        Timer(0.2, target.held[1]).start()
    assert told.accepted == [entry.row for entry in target.accepted] == list(range(20))


def test_stopping_does_not_wait_for_a_request_that_is_never_made() -> None:
    target = Making()
    with sender(target) as sending:
        sending.put(make_entries(20))
        target.begin()
        sending.hurry(0.1)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    target.go.set()


class Quick(Threads):
    """A crew for which a second passes with each look at the clock, and none with waiting."""

    looks = 0

    def seconds(self) -> float:
        self.looks += 1
        return float(self.looks)

    def signal(self) -> Signal:
        signal = super().signal()
        signal.set()
        signal.clear = lambda: None  # type: ignore[method-assign]
        return signal


def test_stopping_waits_only_so_long_and_less_for_who_is_in_a_hurry() -> None:
    def looks(hurry: float | None) -> int:
        crew = Quick()
        with Sender(Slow(), Pacer(None, None), acknowledge=print, refuse=print, crew=crew) as sending:
            sending.put(make_entries(100))
            if hurry is not None:
                sending.hurry(hurry)
            before = crew.looks
        return crew.looks - before

    assert looks(3) < looks(6) < looks(None) < 30
    assert looks(None) > 10, "a busy destination may be seconds behind"


def test_who_is_in_a_hurry_twice_gets_no_more_time() -> None:
    def looks(*hurries: float) -> int:
        crew = Quick()
        with Sender(Slow(), Pacer(None, None), acknowledge=print, refuse=print, crew=crew) as sending:
            sending.put(make_entries(100))
            for seconds in hurries:
                sending.hurry(seconds)
            before = crew.looks
        return crew.looks - before

    assert looks(3, 9) <= looks(3) < looks(9)


def test_no_wait_for_answers_goes_beyond_the_time_that_is_left() -> None:
    waits: list[float | None] = []

    class Recorded(Quick):
        def signal(self) -> Signal:
            signal = super().signal()

            def wait(timeout: float | None = None) -> bool:
                waits.append(timeout)
                return True

            signal.wait = wait  # type: ignore[method-assign]
            return signal

    with Sender(Slow(), Pacer(None, None), acknowledge=print, refuse=print, crew=Recorded()) as sending:
        sending.put(make_entries(100))
        waits.clear()
        sending.hurry(4.5)
    assert waits[-1] == 0.5
    assert max(each or 0 for each in waits) == 1


def test_who_gets_in_a_hurry_while_answers_are_waited_for_waits_no_longer() -> None:
    sending = sender(Slow(), Told())
    began = time.monotonic()
    with sending:
        sending.put(make_entries(100))
        Timer(0.3, sending.hurry, [0.1]).start()
    assert time.monotonic() - began < 5


def test_nothing_is_sent_while_the_sender_is_held() -> None:
    target, told, held = MemoryTarget(), Told(), [0.01] * 5
    with Sender(
        target,
        Pacer(None, None),
        acknowledge=lambda span, _result: told.accepted.extend(span.rows),
        refuse=told.refused.append,
        hold=lambda: held.pop() if held else 0.0,
    ) as sending:
        sending.put(make_entries(3))
        sending.drain()
    assert held == []
    assert told.accepted == [0, 1, 2]


def unlimited(worth: int) -> Pacer:
    """A pacer that never waits, as if an hour passed between two looks, but for which a second is worth so much."""
    return Pacer(None, worth, clock=count(0.0, 3_600.0).__next__)


@pytest.mark.parametrize(("worth", "most"), [(100, 100), (109, 100), (110, 110), (9, 10)])
def test_what_is_accepted_and_not_saved_is_never_more_than_a_second_is_worth(worth: int, most: int) -> None:
    """Of the least, a request."""
    told, saved = Told(), [0]
    with Sender(
        MemoryTarget(),
        unlimited(worth),
        acknowledge=lambda span, _result: told.accepted.extend(span.rows),
        refuse=told.refused.append,
        unsaved=lambda: len(told.accepted) - saved[0],
    ) as sending:
        sending.put(make_entries(1_000))
        for _ in range(10):
            sending.pump(0.01)
            assert len(told.accepted) == most
        saved[0] = 10
        for _ in range(10):
            sending.pump(0.05)
            assert len(told.accepted) <= saved[0] + most
        assert len(told.accepted) == saved[0] + most
        saved[0] = 1_000
        sending.drain()
    assert len(told.accepted) == 1_000


def test_what_is_not_answered_is_never_more_than_a_second_is_worth() -> None:
    target, told = Slow(), Told()
    target.in_flight = 1_000
    with Sender(
        target,
        unlimited(55),
        acknowledge=lambda span, _result: told.accepted.extend(span.rows),
        refuse=told.refused.append,
    ) as sending:
        sending.put(make_entries(1_000))
        for _ in range(10):
            sending.pump(0.01)
            assert len(target.held) == 5
        target.held.pop(0)()
        sending.pump(0.05)
        assert (len(target.held), len(told.accepted)) == (5, 10)
        sending.hurry(0.0)


def test_a_sender_that_waits_is_woken_up_by_a_failure_from_another_thread() -> None:
    target = Slow()
    with sender(target, Told()) as sending:
        sending.put(make_entries(100))
        Timer(0.1, sending.fail, [StoppedError("told to stop")]).start()
        with pytest.raises(StoppedError):
            sending.drain()
        for answer in target.held:
            answer()
