"""When a task is tried again, and when it is not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryDecision, RetryRule

from currents_core.errors import DeliveryError, SetupError, StoppedError

if TYPE_CHECKING:
    from airflow.sdk import Context

# After a try that died without a word, or was told to stop: the next one only goes on where it left off.
_FIRST_DELAY = timedelta(seconds=30)
_LONGEST_DELAY = timedelta(minutes=10)
# A fault of a service may last an hour, over which the delays add up. And whatever befalls the machines that a long
# task is on costs it a try each time.
RETRIES = 10


def delay_after(try_number: int) -> timedelta:
    """How long to wait after the try with a number, from 1 on, that met a temporary fault."""
    return min(_FIRST_DELAY * 2 ** (try_number - 1), _LONGEST_DELAY)


class GrowingDelays(ExceptionRetryPolicy):
    """Waits longer after each fault that no rule names."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """What to do after a try that raised ``exception``."""
        decision = super().evaluate(exception, try_number, max_tries, context)
        if decision.action is not RetryAction.DEFAULT:
            return decision
        return RetryDecision(RetryAction.RETRY, delay_after(try_number))


RETRY_POLICY = GrowingDelays(
    [
        RetryRule(SetupError, RetryAction.FAIL, reason="somebody has to correct the set-up; the error says what"),
        RetryRule(DeliveryError, RetryAction.FAIL, reason="another try would meet the same; the error says what"),
        RetryRule(StoppedError, RetryAction.RETRY, _FIRST_DELAY, reason="it was told to stop, and goes on"),
    ]
)
# For every task, in `default_args`.
TASK_DEFAULTS = {"retries": RETRIES, "retry_delay": _FIRST_DELAY, "weight_rule": "absolute"}
