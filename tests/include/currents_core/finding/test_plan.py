from __future__ import annotations

import pytest

from currents_aws.memory import MemoryObjects
from currents_core.books.layout import Layout
from currents_core.errors import SetupError
from currents_core.finding.plan import Plans

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
