from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction

from currents_airflow.operators.retries import RETRIES, RETRY_POLICY, TASK_DEFAULTS, delay_after
from currents_core.errors import DeliveryError, SetupError, StoppedError, TransientError


@pytest.mark.parametrize("error", [SetupError("x"), DeliveryError("x")])
def test_what_only_a_person_can_mend_fails_at_once(error: Exception) -> None:
    decision = RETRY_POLICY.evaluate(error, 1, RETRIES)
    assert decision.action is RetryAction.FAIL
    assert decision.reason


@pytest.mark.parametrize(("number", "seconds"), [(1, 30), (2, 60), (3, 120), (4, 240), (5, 480), (6, 600), (10, 600)])
@pytest.mark.parametrize("error", [TransientError("x"), OSError("x")])
def test_a_temporary_fault_is_waited_for_longer_each_time(error: Exception, number: int, seconds: int) -> None:
    decision = RETRY_POLICY.evaluate(error, number, RETRIES)
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay == timedelta(seconds=seconds)


@pytest.mark.parametrize("number", [1, 5, 10])
def test_a_task_that_was_told_to_stop_goes_on_soon_however_often(number: int) -> None:
    decision = RETRY_POLICY.evaluate(StoppedError("x"), number, RETRIES)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=30))
    # Nobody can ask the policy for one that died without a word.
    assert TASK_DEFAULTS["retry_delay"] == timedelta(seconds=30)
    assert "retry_exponential_backoff" not in TASK_DEFAULTS


def test_an_outage_of_an_hour_costs_no_run() -> None:
    assert sum((delay_after(number) for number in range(1, RETRIES + 1)), timedelta()) > timedelta(hours=1)
