"""What is asked of Airflow about tries, with an Airflow that only answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.chaos.tries import LONG_SECONDS, Tries, Try

BEFORE = Try("path", "deliver", "custom", 2, "running", 0, "id")
UNTIL = datetime(2026, 1, 1, 12, tzinfo=UTC)
SOON, LATE = "2026-01-01T11:59:59Z", "2026-01-01T12:00:00Z"


def tries_of(*tries: dict[str, Any]) -> Tries:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/path/tries"
        return httpx.Response(200, json={"task_instances": tries})

    client = httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(answer))
    return Tries(None, client)  # type: ignore[arg-type]


def again(number: int = 3, start: str | None = SOON, state: str = "running", duration: float | None = None) -> Any:
    return {"try_number": number, "start_date": start, "state": state, "duration": duration}


@pytest.mark.parametrize(
    ("tries", "was_taken_up"),
    [
        ([again()], True),
        ([again(state="success", duration=1)], True),
        ([again(state="failed", duration=LONG_SECONDS)], True),
        ([again(state="failed", duration=1)], False),
        ([again(state="failed", duration=1), again(4)], True),
        ([again(state="failed", duration=1), again(4, LATE)], False),
        ([again(start=LATE)], False),
        ([again(state="scheduled", start=None)], False),
        ([again(1), again(2)], False),
        ([], False),
    ],
)
def test_a_task_is_taken_up_by_a_later_try_that_began_in_time_and_ran_on(tries: list[Any], was_taken_up: bool) -> None:
    assert tries_of(*tries).was_taken_up(BEFORE, UNTIL) is was_taken_up
