from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from currents_core.entry import Span
from currents_core.errors import SetupError, TransientError
from currents_core.ports import SENT, Failed, Invalid, Result
from currents_core.sending.circuit import Circuit
from currents_core.sending.figures import SendFigures
from currents_core.sending.retry import Backoff
from currents_core.sending.tries import Tries
from currents_core.sending.verdict import Refused, Verdicts, throttled
from tests.tools.entries import make_entries


@dataclass
class Bench:
    """Verdicts, and what they told."""

    attempts: int = 3
    patience: float = 0.0
    now: float = 7.0
    accepted: list[int] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tries = Tries(lambda: 0.0, lambda: self.now)
        self.figures = SendFigures()
        self.verdicts = Verdicts(
            self.figures,
            self.tries,
            Backoff(attempts=self.attempts, base=0.0, patience=self.patience),
            Circuit(),
            acknowledge=lambda span, _result: self.accepted.extend(span.rows),
            refuse=self.refused.append,
        )

    def judge(self, *results: Result) -> int:
        """How many entries are through, each of the same size."""
        span = Span(make_entries(len(results)), 0, len(results))
        return self.verdicts.judge([span], results) * len(results) // span.size


def test_each_entry_gets_its_own_verdict() -> None:
    bench = Bench()
    through = bench.judge(SENT, Failed("ThrottlingException", "", "throttled"), Invalid("MalformedDetail", "no"), SENT)
    assert through == 3
    assert bench.accepted == [0, 3]
    assert [(each.span.rows, each.code, each.attempts, each.first_try) for each in bench.refused] == [
        ([2], "MalformedDetail", 1, 7.0)
    ]
    assert [span.rows for span in bench.tries.take_due()] == [[1]]
    assert (bench.figures.sent, bench.figures.failed, bench.figures.throttled) == (2, 1, 1)


def test_entries_of_a_request_that_was_refused_whole_go_again_alone() -> None:
    bench = Bench()
    assert bench.judge(*[Invalid("ValidationException", "", whole_request=True)] * 3) == 0
    again = list(bench.tries.take_due())
    assert [(span.rows, span.alone) for span in again] == [([0], True), ([1], True), ([2], True)]
    assert bench.judge(Invalid("ValidationException", "", whole_request=True)) == 1
    assert [each.attempts for each in bench.refused] == [2]


def test_the_last_attempt_ends_the_sending_or_the_entry() -> None:
    bench = Bench(attempts=2)
    assert bench.judge(Failed("Brandnew", "?", "undocumented"), SENT) == 1
    assert bench.judge(Failed("Brandnew", "?", "undocumented"), SENT) == 2
    bench.judge(Failed("InternalFailure", "down", "outage"))
    with pytest.raises(TransientError, match="2 attempts: InternalFailure down; clear the task to resume"):
        bench.judge(Failed("InternalFailure", "down", "outage"))


@pytest.mark.parametrize(
    "failure", [Failed("ThrottlingException", "", "throttled"), Failed("Brandnew", "?", "undocumented")]
)
def test_an_entry_is_given_up_only_after_a_while_however_often_it_failed(failure: Failed) -> None:
    bench = Bench(attempts=2, patience=120.0)
    for second in (0, 1, 2, 119):
        bench.now = 7.0 + second
        assert bench.judge(failure) == 0
    bench.now = 7.0 + 120.0
    if failure.cause == "undocumented":
        # There may never be another answer: it becomes a dead letter.
        assert bench.judge(failure) == 1
    else:
        with pytest.raises(TransientError, match="5 attempts"):
            bench.judge(failure)


def test_refusals_by_policy_count_only_in_a_row() -> None:
    bench = Bench()
    refusals: list[Result] = [Invalid("AccessDeniedException", "not you", by_policy=True)] * 99
    bench.judge(*refusals)
    bench.judge(SENT)
    bench.judge(*refusals)
    with pytest.raises(SetupError, match="100 entries in a row"):
        bench.judge(*refusals)


def test_entries_that_were_given_up_are_none_that_a_policy_refuses() -> None:
    bench = Bench(attempts=1)
    bench.judge(*[Failed("Brandnew", "?", "undocumented")] * 99)
    assert bench.judge(*[Invalid("AccessDeniedException", "not you", by_policy=True)] * 99) == 99


def test_entries_given_up_for_what_nobody_documents_count_only_in_a_row() -> None:
    bench = Bench(attempts=1)
    unknown: list[Result] = [Failed("Brandnew", "?", "undocumented")] * 99
    bench.judge(*unknown)
    bench.judge(SENT)
    bench.now += 1.0
    bench.judge(*unknown)
    with pytest.raises(TransientError, match=r"row 0: 100 entries in a row failed for minutes with Brandnew \?, which"):
        bench.judge(*unknown)


def test_however_many_entries_fail_while_others_are_accepted_they_are_to_blame() -> None:
    bench = Bench(attempts=2, patience=120.0)
    entries, unknown = make_entries(151), [Failed("Brandnew", "?", "undocumented")] * 150
    bad, good = Span(entries, 0, 150), Span(entries, 150, 151)
    bench.verdicts.judge([bad], unknown)
    bench.now += 60.0
    bench.verdicts.judge([good], [SENT])
    # The others are through by now, and only these still come.
    bench.now += 60.0
    bench.verdicts.judge([bad], unknown)
    assert len(bench.refused) == 150


def test_a_request_of_entries_that_failed_before_tells_the_circuit_of_documented_faults_alone() -> None:
    failures = Failed("Code", "", "undocumented"), Failed("Code", "", "outage"), Failed("Code", "", "throttled")
    for failure, is_open in zip(failures, (False, True, True), strict=True):
        bench = Bench(attempts=50, patience=1_000.0)
        for _ in range(30):
            bench.judge(failure)
        assert bench.verdicts.circuit.is_open == is_open
        assert not bench.refused


def test_throttled_entries_are_told_apart() -> None:
    slow, down = Failed("ThrottlingException", "", "throttled"), Failed("InternalFailure", "", "outage")
    assert throttled([SENT, slow, down, Invalid("x", "")]) == 1
