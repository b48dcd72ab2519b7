from __future__ import annotations

import pytest

from currents_aws.memory import MemoryObjects
from currents_core.books.layout import Layout
from currents_core.errors import SetupError
from currents_core.finding.plan import KEPT_SECONDS, Plans

HOUR = "2026-11-23-08"


def test_a_plan_is_read_back_and_planning_again_finds_the_same_key() -> None:
    plans = Plans(MemoryObjects(), Layout())
    key = plans.write(HOUR, {"é": [1]})
    assert plans.read(key) == {"é": [1]}
    assert plans.write(HOUR, {"é": [1]}) == key
    assert plans.write(HOUR, {"é": [2]}) != key


def test_a_plan_that_is_gone_says_how_to_get_it_back() -> None:
    plans = Plans(MemoryObjects("memory", {"plans/earlier": b"[]"}), Layout())
    for key in ("plans/x", "plans/earlier", ""):
        with pytest.raises(
            SetupError, match=rf"s3://memory/{key}: the plan is gone, or .*clear the run's first task to plan"
        ):
            plans.read(key)


def test_a_plan_is_kept_for_as_long_as_its_run_may_wait_whatever_its_hour() -> None:
    now = [0.0]
    store = MemoryObjects(clock=lambda: now[0])
    plans = Plans(store, Layout("orders/"))
    store.write("orders/slices/date=2026-11-23-08/head.json", b"{}")
    old, again, young = (plans.write(hour, {"of": hour}) for hour in (HOUR, "2020-01-01-00", "2026-11-25-00"))
    now[0] = KEPT_SECONDS
    assert plans.end_old() == 0
    assert plans.write("2020-01-01-00", {"of": "2020-01-01-00"}) == again, "planning again keeps it"
    now[0] += 1
    store.write(young, store.contents[young])
    assert plans.end_old() == 1
    assert old not in store.contents
    assert {again, young} <= store.contents.keys()
    assert len(store.contents) == 3
