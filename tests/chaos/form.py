"""How large a run of the chaos suite is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """Hours, event types and rows a file, and the events that a connector may send in a second.

    - minutes: from the start to the scheduled run that has to find the late files
    - faults: the names of those that strike; all where none is named
    """

    hours: int
    types: int
    rows: int
    rate: int
    minutes: int
    faults: Sequence[str] = ()

    @property
    def events(self) -> int:
        """The rows of all files, of which some are repeated."""
        return self.hours * self.types * self.rows


# Slow enough that something is delivered until the last fault has struck.
LONG = Form(hours=24, types=50, rows=1_200, rate=600, minutes=50)
# What a build server runs.
SHORT = Form(
    hours=8,
    types=10,
    rows=1_600,
    rate=240,
    minutes=13,
    faults=("supervisor killed", "worker killed", "worker stopped", "queue killed"),
)
