from __future__ import annotations

import pytest

from currents_core.books.run_record import RunRecord

RECORD = RunRecord("run", "scheduled", "2026-11-23T09:00:00+00:00")


def task(requests: int, tries: int, began: float, ended: float, throttled: int = 0) -> dict[str, float]:
    return {"requests": requests, "tries": tries, "throttled": throttled, "began": began, "ended": ended}


def test_a_run_used_what_its_tasks_put_of_what_was_allowed_from_the_first_to_the_last() -> None:
    tasks = [task(10, 100, 0, 8, throttled=5), task(10, 60, 2, 10)]
    record = RECORD.with_sending(tasks, (None, 20))
    assert (record.tries, record.throttled, record.used) == (160, 5, 0.8)


def test_of_two_limits_the_nearer_one_counts() -> None:
    assert RECORD.with_sending([task(9, 20, 0, 1)], (10, 100)).used == 0.9


@pytest.mark.parametrize("tasks", [[], [task(0, 0, 5, 5)]])
def test_a_run_that_sent_nothing_used_nothing(tasks: list[dict[str, float]]) -> None:
    assert RECORD.with_sending(tasks, (10, None)) == RECORD
