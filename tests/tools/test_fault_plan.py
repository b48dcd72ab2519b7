from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.fault_plan import (
    ENTRY_FAULTS,
    REQUEST_FAULTS,
    SHARES,
    Decision,
    FaultCourse,
    FaultPlan,
    read_plan,
)

shares = st.floats(0, 0.25)
plans = st.builds(
    FaultPlan,
    seed=st.integers(-(2**63), 2**63 - 1),
    slow_seconds=st.floats(0, 10),
    s3_match=st.text(st.characters(codec="utf-8")),
    s3_methods=st.lists(st.sampled_from(["GET", "PUT", "DELETE"])).map(tuple),
    s3_limit=st.none() | st.integers(0, 10),
    denied_detail_type=st.text(st.characters(codec="utf-8")),
    hold=st.booleans(),
    **dict.fromkeys(SHARES, shares),
)
numbers = st.integers(1, 2**31)


def count(plan: FaultPlan, requests: int = 10_000) -> Counter[str | None]:
    return Counter(plan.decide(number).fault for number in range(1, requests + 1))


def about(share: float) -> Any:
    """A share of 10,000, give or take what chance does: five standard deviations."""
    return pytest.approx(10_000 * share, abs=5 * (10_000 * share * (1 - share)) ** 0.5)


def certain(name: str) -> FaultPlan:
    """A plan by which one thing always happens."""
    share: dict[str, Any] = {name: 1}
    return FaultPlan(**share)


# Decisions


@given(plans, numbers, st.integers(0, 9), st.text())
def test_the_same_seed_and_number_always_decide_the_same(plan: FaultPlan, number: int, index: int, text: str) -> None:
    again = replace(plan)
    assert plan.decide(number) == again.decide(number)
    assert plan.decide_entry(number, index, text) == again.decide_entry(number, index, text)
    assert plan.decide_s3(number) == again.decide_s3(number)


def test_decisions_are_the_same_on_every_machine_and_in_every_version() -> None:
    plan = FaultPlan(seed=1, throttle=0.5, slow=0.5, slow_seconds=2, entry_failure=0.5, s3_unavailable=0.5)
    decisions = [plan.decide(number) for number in range(1, 9)]
    found = {
        "throttled": [decision.fault is not None for decision in decisions],
        "slow": [decision.wait > 0 for decision in decisions],
        "failed": [plan.decide_entry(1, index, "{}") is not None for index in range(8)],
        "unavailable": [plan.decide_s3(number) for number in range(1, 9)],
    }
    assert {name: "".join(".x"[each] for each in several) for name, several in found.items()} == {
        "throttled": "...xx..x",
        "slow": "x.xxxx..",
        "failed": "....x...",
        "unavailable": "x.x.xx..",
    }


def test_seeds_decide_differently() -> None:
    first, second = (
        [FaultPlan(seed=seed, throttle=0.5).decide(number).fault for number in range(1, 65)] for seed in (1, 2)
    )
    assert first != second


@given(st.integers(), numbers, st.text())
def test_an_empty_plan_does_nothing(seed: int, number: int, detail: str) -> None:
    plan = FaultPlan(seed=seed)
    decision = plan.decide(number)
    assert (decision.fault, decision.wait, decision.marks()) == (None, 0, {})
    assert plan.decide_entry(number, 0, detail) is None
    assert not plan.decide_s3(number)


@pytest.mark.parametrize("name", REQUEST_FAULTS)
def test_a_share_of_one_befalls_every_request(name: str) -> None:
    assert count(certain(name)) == {name: 10_000}


@pytest.mark.parametrize("name", ["entry_refusal", *ENTRY_FAULTS])
@given(number=numbers, index=st.integers(0, 9), detail=st.text())
def test_a_share_of_one_befalls_every_entry(name: str, number: int, index: int, detail: str) -> None:
    assert certain(name).decide_entry(number, index, detail) == name


def test_faults_of_requests_come_as_often_as_told_and_one_at_a_time() -> None:
    wanted: dict[str, Any] = {"cut_before": 0.05, "throttle": 0.2, "server_error": 0.1, "cut_after": 0.02}
    expected = {name: about(share) for name, share in wanted.items()}
    assert dict(count(FaultPlan(seed=7, **wanted))) == expected | {None: about(0.63)}


def test_slow_answers_come_as_often_as_told_whatever_else_happens() -> None:
    plan = FaultPlan(seed=7, slow=0.3, slow_seconds=1.5, throttle=0.5)
    decisions = [plan.decide(number) for number in range(1, 10_001)]
    both = sum(bool(decision.wait and decision.fault) for decision in decisions)
    assert {decision.wait for decision in decisions} == {0, 1.5}
    assert (sum(decision.wait > 0 for decision in decisions), both) == (about(0.3), about(0.15))


def test_half_of_server_errors_are_500_and_half_503() -> None:
    plan = FaultPlan(seed=7, server_error=1)
    found = Counter(plan.decide(number).status for number in range(1, 10_001))
    assert found == {500: about(0.5), 503: about(0.5)}


def test_faults_of_entries_come_as_often_as_told() -> None:
    plan = FaultPlan(seed=7, entry_throttle=0.2, entry_failure=0.1)
    found = Counter(plan.decide_entry(number, index, "{}") for number in range(1_000) for index in range(10))
    assert found == {"entry_throttle": about(0.2), "entry_failure": about(0.1), None: about(0.7)}


@given(plans, st.text(), st.lists(st.tuples(numbers, st.integers(0, 9)), min_size=2, max_size=10))
def test_an_entry_that_is_refused_is_refused_wherever_it_comes_again(
    plan: FaultPlan, detail: str, places: list[tuple[int, int]]
) -> None:
    refused = {plan.decide_entry(number, index, detail) == "entry_refusal" for number, index in places}
    assert len(refused) == 1


def test_refusals_come_as_often_as_told_by_detail() -> None:
    plan = FaultPlan(seed=7, entry_refusal=0.1)
    found = Counter(plan.decide_entry(1, 0, f'{{"n":{number}}}') for number in range(10_000))
    assert found == {"entry_refusal": about(0.1), None: about(0.9)}


@pytest.mark.parametrize(
    ("decision", "marks"),
    [
        (Decision(1), {}),
        (Decision(1, "throttle"), {}),
        (Decision(1, "cut_after"), {"cut": True}),
        (Decision(1, wait=1), {"slow": True}),
        (Decision(1, "cut_after", wait=1), {"cut": True, "slow": True}),
    ],
)
def test_entries_are_marked_where_their_sender_may_not_learn_of_them(
    decision: Decision, marks: dict[str, bool]
) -> None:
    assert decision.marks() == marks


# S3


@pytest.mark.parametrize(
    ("plan", "matches"),
    [
        (FaultPlan(), True),
        (FaultPlan(s3_match="/ledger/"), True),
        (FaultPlan(s3_match="dead"), False),
        (FaultPlan(s3_methods=("PUT", "DELETE")), True),
        (FaultPlan(s3_methods=("GET",)), False),
        (FaultPlan(s3_match="/ledger/", s3_methods=("GET",)), False),
    ],
)
def test_s3_requests_match_by_path_and_method(plan: FaultPlan, matches: bool) -> None:
    assert plan.matches_s3("PUT", "/bucket/ledger/a.json") is matches


def test_only_s3_requests_that_match_are_counted_and_no_more_fail_than_told() -> None:
    plan = FaultPlan(seed=3, s3_unavailable=0.5, s3_match="ledger")
    plain, mixed, limited = (FaultCourse(each) for each in (plan, plan, replace(plan, s3_limit=5)))
    fails = [plain.next_s3("PUT", "/b/ledger/x") for _ in range(100)]
    assert fails == [plan.decide_s3(number) for number in range(1, 101)]
    assert [(mixed.next_s3("GET", "/b/other"), mixed.next_s3("PUT", "/b/ledger/x"))[1] for _ in range(100)] == fails
    cut_short = [limited.next_s3("PUT", "/b/ledger/x") for _ in range(100)]
    last = [number for number, fails_here in enumerate(fails) if fails_here][4]
    assert cut_short == fails[: last + 1] + [False] * (99 - last)


def test_requests_are_counted_from_one() -> None:
    plan = FaultPlan(seed=3, throttle=0.5)
    course = FaultCourse(plan)
    assert [course.next_request() for _ in range(50)] == [plan.decide(number) for number in range(1, 51)]


# Plans as they are told


@given(plans)
def test_a_plan_is_read_as_it_was_told(plan: FaultPlan) -> None:
    assert read_plan(json.dumps(asdict(plan)).encode()) == plan


def test_what_a_plan_leaves_out_does_not_happen() -> None:
    assert read_plan(b"{}") == FaultPlan()
    assert read_plan(b'{"throttle":1,"s3_methods":["PUT"]}') == FaultPlan(throttle=1, s3_methods=("PUT",))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("", "empty|zero-length|EOF|input"),
        ("[]", "JSON object"),
        ('{"throtle":1}', "no throtle; it may have seed, throttle"),
        ('{"throttle":1.1}', "share from 0 to 1, not 1.1"),
        ('{"s3_unavailable":-0.1}', "share from 0 to 1"),
        ('{"throttle":"1"}', "throttle must not be '1'"),
        ('{"throttle":true}', "throttle must not be True"),
        ('{"hold":1}', "hold must not be 1"),
        ('{"seed":1.5}', r"seed must not be 1\.5"),
        ('{"s3_methods":"PUT"}', "s3_methods must not be 'PUT'"),
        ('{"s3_methods":[1]}', "s3_methods must not be"),
        ('{"s3_limit":"1"}', "s3_limit must not be '1'"),
        ('{"s3_limit":-1}', "must not be negative"),
        ('{"slow_seconds":-1}', "must not be negative"),
        ('{"throttle":0.5,"cut_after":0.6}', "cut_after must not exceed 1 in sum"),
        ('{"entry_throttle":0.5,"entry_failure":0.6}', "entry_failure must not exceed 1 in sum"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(told: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_plan(told.encode())


def test_shares_may_sum_up_to_one_in_any_order() -> None:
    for plan in (
        FaultPlan(cut_before=0.7, throttle=0.1, server_error=0.1, cut_after=0.1),
        FaultPlan(cut_before=0.1, throttle=0.2, server_error=0.3, cut_after=0.4),
    ):
        assert all(plan.decide(number).fault for number in range(100))
