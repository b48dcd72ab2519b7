"""Selects rows by conditions on their fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from currents_core.setup.settings import Condition
from currents_core.shaping.columns import arrow, is_text
from currents_core.shaping.envelope import Events

_is = pa.types


def matching(events: Events, conditions: Sequence[Condition]) -> pd.Series:
    """Which events meet every condition: a column of NumPy bool, one item per row, with the index of the events."""
    met = pd.Series(data=True, index=events.frame.index)
    for condition in conditions:
        met &= _meets(events.frame, condition)
    return met


def _meets(frame: pd.DataFrame, condition: Condition) -> pd.Series:
    if condition.field not in frame.columns:
        return pd.Series(data=condition.is_null is True, index=frame.index)
    values = arrow(frame[condition.field])
    present = frame[condition.field].notna()
    met = ~present if condition.is_null else present
    if condition.in_ is not None:
        met &= _among(values, condition.in_)
    if condition.not_in is not None:
        met &= ~_among(values, condition.not_in)
    if condition.at_least is not None:
        met &= _within(values, pc.greater_equal, condition.at_least)
    if condition.at_most is not None:
        met &= _within(values, pc.less_equal, condition.at_most)
    return met.astype(bool)


def _among(values: pa.Array, wanted: Sequence[Any]) -> np.ndarray:
    """Which values are among the wanted ones, as bool; nulls and values of another type than the wanted are not."""
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    fitting = [scalar for scalar in (_as(value, kind) for value in wanted) if scalar is not None]
    return _flags(pc.is_in(values, value_set=pa.array(fitting, kind)) if fitting else None, len(values))


def _as(value: Any, kind: pa.DataType) -> pa.Scalar | None:
    """A wanted value in the type of a column, or None if no value of that type equals it."""
    if isinstance(value, bool) or _is.is_boolean(kind):
        fits = isinstance(value, bool) and _is.is_boolean(kind)
    elif isinstance(value, str):
        fits = is_text(kind)
    else:
        fits = _is.is_floating(kind) or _is.is_decimal(kind) or (_is.is_integer(kind) and value == int(value))
    try:
        return pa.scalar(_number(value, kind), kind) if fits else None
    except (pa.ArrowException, OverflowError):
        return None


def _number(value: Any, kind: pa.DataType) -> Any:
    if _is.is_decimal(kind):
        return Decimal(str(value))
    return float(value) if _is.is_floating(kind) else int(value) if _is.is_integer(kind) else value


def _within(values: pa.Array, compare: Callable[[pa.Array, float], pa.Array], bound: float) -> np.ndarray:
    """Which values are numbers, or texts of numbers, within a bound."""
    if _is.is_dictionary(values.type):
        values = values.dictionary_decode()
    if is_text(values.type):
        numbers = pd.to_numeric(values.to_pandas(), errors="coerce").astype(float)
        values = pa.array(numbers, pa.float64(), from_pandas=True)
    elif _is.is_decimal(values.type):
        # Arrow's own cast may miss the nearest float.
        values = pa.array([None if each is None else float(each) for each in values.to_pylist()], pa.float64())
    elif not (_is.is_integer(values.type) or _is.is_floating(values.type)):
        return _flags(None, len(values))
    if _is.is_floating(values.type):
        # A float32 that was written as 9.99 lies below the 9.99 of the setting.
        bound = pa.scalar(bound, values.type).as_py()
    return _flags(compare(values.cast(pa.float64(), safe=False), bound), len(values))


def _flags(found: pa.Array | None, count: int) -> np.ndarray:
    if found is None:
        return np.zeros(count, bool)
    return found.fill_null(fill_value=False).to_numpy(zero_copy_only=False)
