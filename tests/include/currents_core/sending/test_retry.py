from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from currents_core.sending.retry import Backoff


@given(st.integers(0, 40))
def test_the_delay_grows_to_its_cap_and_is_jittered_over_its_whole_width(attempt: int) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    delay = Backoff(base=0.5, cap=8, uniform=uniform).delay(attempt)
    assert asked == [(0.0, min(8, 0.5 * 2**attempt))]
    assert delay == asked[0][1]
