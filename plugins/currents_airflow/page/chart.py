"""Bars as the path of an SVG: a month of hours as elements of their own would be larger than the rest of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 744, 110


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars for values, side by side in a view of WIDTH times HEIGHT; ``most`` is the largest value."""

    path: str
    most: float


def chart(values: Sequence[float]) -> Chart:
    """The bars of some values of at least 0."""
    most, step = max(values, default=0), WIDTH / max(1, len(values))
    bars = [
        f"M{number * step:.5g} {HEIGHT}v{-HEIGHT * value / most:.4g}h{step * 0.85:.4g}V{HEIGHT}z"
        for number, value in enumerate(values)
        if value
    ]
    return Chart("".join(bars), most)
