"""What passes through Airflow of a shard: where its plan is kept, and what the grid shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict


class Plan(TypedDict):
    """One mapped task's work: the key of its shard in the state, None where there is nothing to do, and a label.

    ``look`` is the key of the look that the run's plans came from.
    """

    key: str | None
    label: str
    look: str


def at_least_one(plans: Sequence[Plan], look: str) -> list[Plan]:
    """The plans, or an empty one: Airflow skips what is mapped over nothing, and the grid would show it as skipped."""
    return [*plans] or [Plan(key=None, label="nothing to deliver", look=look)]
