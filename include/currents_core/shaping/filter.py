"""Selects rows by conditions on their fields."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from currents_core.setup.settings import Condition
from currents_core.shaping.envelope import Events


def matching(events: Events, conditions: Sequence[Condition]) -> pd.Series:
    """Which events meet every condition: a column of NumPy bool, one item per row, with the index of the events."""
    met = pd.Series(data=True, index=events.frame.index)
    for condition in conditions:
        met &= _meets(events.frame, condition)
    return met


def _meets(frame: pd.DataFrame, condition: Condition) -> pd.Series:
    if condition.field not in frame.columns:
        return pd.Series(data=condition.is_null is True, index=frame.index)
    values = frame[condition.field]
    present = values.notna()
    met = ~present if condition.is_null else present
    if condition.in_ is not None:
        met &= values.isin(condition.in_)
    if condition.not_in is not None:
        met &= ~values.isin(condition.not_in)
    if condition.at_least is not None:
        met &= (_numbers(values) >= condition.at_least).fillna(value=False)
    if condition.at_most is not None:
        met &= (_numbers(values) <= condition.at_most).fillna(value=False)
    return met.astype(bool)


def _numbers(values: pd.Series) -> pd.Series:
    """A column as Float64 with the same index. What is not a number becomes null, which is within no bound."""
    return pd.to_numeric(values.astype(object).where(values.notna(), None), errors="coerce").astype("Float64")
