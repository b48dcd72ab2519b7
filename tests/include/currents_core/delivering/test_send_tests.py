from __future__ import annotations

from collections.abc import Callable

import pytest

from currents_aws.memory import MemoryTarget
from currents_core.crew import Threads
from currents_core.delivering.send_tests import Outcome, send_tests
from currents_core.entry import Entry
from currents_core.errors import SetupError
from currents_core.ports import SENT, Failed, Invalid, Result
from currents_core.shaping.event_schema import stored_types
from currents_core.shaping.test_event import id_of_test
from tests.tools.house import connector

OPEN, CLICK = "users.messages.email.Open", "users.messages.email.Click"


def sent(target: MemoryTarget, *event_types: str, sending: str = "a") -> list[Outcome]:
    return send_tests(connector(event_types={"include": event_types or ["*"]}), target, sending, Threads())


def test_one_event_of_each_type_is_accepted_in_as_few_requests_as_may_be() -> None:
    target = MemoryTarget()
    tested = sent(target)
    assert [each.event_type for each in tested] == [entry.detail_type for entry in target.accepted] == stored_types()
    assert [each.refusal for each in tested] == [""] * len(tested)
    assert len(target.requests) <= -(-len(tested) // 10) + 1


def test_what_is_refused_is_told_and_the_others_go() -> None:
    def answer(entry: Entry) -> Result:
        return Invalid("MalformedDetail", "no") if entry.detail_type == OPEN else SENT

    assert sent(MemoryTarget(answer=answer), OPEN, CLICK) == [
        Outcome(CLICK, id_of_test("a", 0)),
        Outcome(OPEN, id_of_test("a", 1), "MalformedDetail: no"),
    ]


def test_what_is_throttled_is_sent_again() -> None:
    answers = [Failed("ThrottlingException", "slow down", "throttled")]
    tested = sent(MemoryTarget(answer=lambda _: answers.pop() if answers else SENT), OPEN)
    assert [each.refusal for each in tested] == [""]


class Looked(MemoryTarget):
    """A destination that is looked at, and found wrong after some looks."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self.looks, self.good = 0, good
        self.look: Callable[[], None] | None = self._look

    def _look(self) -> None:
        self.looks += 1
        if self.looks > self.good:
            raise SetupError("it is PENDING")


def test_a_destination_that_has_to_be_looked_at_is_before_and_after() -> None:
    target = Looked(2)
    assert sent(target, OPEN)
    assert target.looks == 2


@pytest.mark.parametrize(("good", "accepted"), [(0, 0), (1, 1)])
def test_what_a_look_finds_wrong_is_raised(good: int, accepted: int) -> None:
    target = Looked(good)
    with pytest.raises(SetupError, match="it is PENDING"):
        sent(target, OPEN)
    assert len(target.accepted) == accepted


def test_where_nothing_is_documented_nothing_is_sent() -> None:
    target = MemoryTarget()
    assert sent(target, "no.such.Type") == []
    assert target.requests == []
