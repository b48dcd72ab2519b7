from __future__ import annotations

from dataclasses import replace

import pytest

from currents_core.books.run_record import RunPass, RunRecord

RECORD = RunRecord("run", "scheduled", "2026-11-23T09:00:00+00:00")
LATER = replace(RECORD, at="2026-11-23T10:00:00+00:00", cleared=2)


def task(
    requests: int, tries: int, began: float, ended: float, *, throttled: int = 0, cleared: int = 0
) -> dict[str, float]:
    sent = {"requests": requests, "tries": tries, "throttled": throttled}
    return {**sent, "began": began, "ended": ended, "cleared": cleared}


def test_a_run_used_what_its_tasks_put_of_what_was_allowed_from_the_first_to_the_last() -> None:
    tasks = [task(10, 100, 0, 8, throttled=5), task(10, 60, 2, 10)]
    record = RunPass(RECORD, tasks, (None, 20)).recorded()
    assert (record.tries, record.throttled, record.used) == (160, 5, 0.8)


def test_of_two_limits_the_nearer_one_counts() -> None:
    assert RunPass(RECORD, [task(9, 20, 0, 1)], (10, 100)).recorded().used == 0.9


@pytest.mark.parametrize("tasks", [[], [task(0, 0, 5, 5)]])
def test_a_run_that_sent_nothing_used_nothing(tasks: list[dict[str, float]]) -> None:
    assert RunPass(RECORD, tasks, (10, None)).recorded() == RECORD


def test_what_the_passes_of_a_run_sent_adds_up_each_task_once() -> None:
    kept = task(50, 500, 0, 10, throttled=3)
    first = RunPass(RECORD, [kept], (10, None)).recorded()
    # One task of two was cleared: Airflow still tells what the other returned. Its worker's clock may be behind.
    cleared = task(10, 70, -100, -90, throttled=1, cleared=1)
    second = RunPass(LATER, [kept, cleared], (10, None)).recorded(first)
    assert second == replace(LATER, tries=570, throttled=4, used=0.5)
    assert RunPass(replace(LATER, cleared=3), [kept, cleared], (10, None)).recorded(second) == second


def test_a_pass_without_anything_to_do_leaves_the_record_as_it_was() -> None:
    tasks = [task(5, 50, 0, 10)]
    first = RunPass(RECORD, tasks, (10, None)).recorded()
    assert RunPass(LATER, tasks, (10, None)).recorded(first) == first
    assert RunPass(LATER, [], (10, None)).recorded(first) == first


def test_a_pass_with_a_task_that_failed_may_have_delivered_something() -> None:
    first = RunPass(RECORD, [task(5, 50, 0, 10)], (10, None)).recorded()
    again = RunPass(LATER, [], (10, None), is_whole=False).recorded(first)
    assert again == replace(first, at=LATER.at, cleared=2)
