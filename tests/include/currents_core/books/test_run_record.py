from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from currents_core.books.run_record import RunPass, RunRecord

RECORD = RunRecord("run", "scheduled", "2026-11-23T09:00:00+00:00")
ENDED = datetime.fromisoformat(RECORD.at).timestamp()
LATER = replace(RECORD, at="2026-11-23T10:00:00+00:00")


def task(requests: int, tries: int, began: float, ended: float, throttled: int = 0) -> dict[str, float]:
    return {"requests": requests, "tries": tries, "throttled": throttled, "began": began, "ended": ended}


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
    kept = task(50, 500, ENDED - 20, ENDED - 10, throttled=3)
    first = RunPass(RECORD, [kept], (10, None)).recorded()
    # One task of two was cleared: Airflow still tells what the other returned.
    cleared = task(10, 70, ENDED + 60, ENDED + 70, throttled=1)
    second = RunPass(LATER, [kept, cleared], (10, None)).recorded([replace(first, run="another"), first])
    assert second == replace(LATER, tries=570, throttled=4, used=0.5)


def test_a_pass_without_anything_to_do_leaves_the_record_as_it_was() -> None:
    # Its last task ended in the very second in which the run did.
    tasks = [task(5, 50, ENDED + 0.3, ENDED + 0.6)]
    first = RunPass(RECORD, tasks, (10, None)).recorded()
    assert RunPass(LATER, tasks, (10, None)).recorded([first]) == first
    assert RunPass(LATER, [], (10, None)).recorded([first]) == first
