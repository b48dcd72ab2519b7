from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.adapters.memory import MemoryTarget
from include.currents.entry import Entry
from include.currents.errors import SetupError, TransientError
from include.currents.pacer import Pacer
from include.currents.ports import Failed, Invalid, Result, Sent
from include.currents.retry import Backoff
from include.currents.send import Sender

ENTRY = Entry(row=0, source="s", detail_type="t", detail="{}", time=0, resource="r", size=100)


def entries(count: int) -> list[Entry]:
    return [replace(ENTRY, row=row) for row in range(count)]


def sender(target: MemoryTarget, *, attempts: int = 8, slept: list[float] | None = None) -> Sender:
    sleep = slept.append if slept is not None else lambda seconds: None
    return Sender(target, Pacer(None, None), Backoff(attempts=attempts), sleep=sleep)


@given(st.lists(st.lists(st.sampled_from(["ok", "fail", "odd", "final"]), min_size=1, max_size=6), max_size=35))
def test_every_entry_is_accepted_once_or_refused_whatever_is_answered(script: list[list[str]]) -> None:
    """``script`` holds, per entry, what each of its attempts is answered; after that it is accepted."""
    answers = {row: list(each) for row, each in enumerate(script)}
    meanings: dict[str, Result] = {
        "ok": Sent(),
        "fail": Failed("ThrottlingException", ""),
        "odd": Failed("NobodyKnows", ""),
        "final": Invalid("MalformedDetail", "no"),
    }
    target = MemoryTarget(answer=lambda entry: meanings[answers[entry.row].pop(0) if answers[entry.row] else "ok"])
    with sender(target) as sending:
        refused = sending.send(entries(len(script)))
    ends = (
        [
            "final" if "ok" not in each or each.index("final") < each.index("ok") else "ok"
            for each in script
            if "final" in each
        ]
        if script
        else []
    )
    assert len(refused) == ends.count("final")
    accepted = [entry.row for entry in target.accepted]
    assert sorted([*accepted, *(each.entry.row for each in refused)]) == list(range(len(script)))


def test_only_the_failed_entries_go_again_and_each_wait_is_the_policys() -> None:
    failing = {3: 2, 7: 1}

    def answer(entry: Entry) -> Result:
        left = failing.get(entry.row, 0)
        failing[entry.row] = left - 1
        return Failed("InternalFailure", "") if left > 0 else Sent()

    slept: list[float] = []
    target = MemoryTarget(answer=answer)
    with sender(target, slept=slept) as sending:
        assert sending.send(entries(10)) == []
    assert target.requests == [10, 2, 1]
    assert len(slept) == 2


def test_requests_hold_ten_entries() -> None:
    target = MemoryTarget()
    with sender(target) as sending:
        sending.send(entries(25))
    assert sorted(target.requests) == [5, 10, 10]


def test_known_passing_faults_are_left_to_the_task_after_the_last_attempt() -> None:
    target = MemoryTarget(answer=lambda entry: Failed("ThrottlingException", "slow down"))
    with sender(target, attempts=3) as sending, pytest.raises(TransientError, match=r"after 3 attempts.*row 0.*resume"):
        sending.send(entries(1))
    assert target.requests == [1, 1, 1]


def test_codes_that_nobody_documents_become_dead_letters_after_the_last_attempt() -> None:
    target = MemoryTarget(answer=lambda entry: Failed("Brandnew", "?"))
    with sender(target, attempts=3) as sending:
        assert [(each.code, each.attempts) for each in sending.send(entries(2))] == [("Brandnew", 3)] * 2


def test_a_wrong_set_up_ends_the_sending() -> None:
    class Refusing(MemoryTarget):
        def send(self, entries: object) -> list[Result]:
            raise SetupError("no permission")

    with sender(Refusing()) as sending, pytest.raises(SetupError, match="no permission"):
        sending.send(entries(random.randint(1, 50)))
