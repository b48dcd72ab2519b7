"""Thousands of histories, in two modules so that two processes share them. A seed that fails can be played alone."""

from __future__ import annotations

import pytest

from tests.simulation.history import play

# Processes that are killed leave their files open.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

PARTS, SEEDS = 20, 50


def require_all_kept(part: int) -> None:
    """Plays one part of the histories."""
    broken = [
        f"python -m tests.simulation {seed}: {summary.violation}"
        for seed in range(part * SEEDS, (part + 1) * SEEDS)
        if (summary := play(seed)).violation
    ]
    assert broken == []


@pytest.mark.parametrize("part", range(PARTS))
def test_every_promise_is_kept_in_every_history(part: int) -> None:
    require_all_kept(part)
