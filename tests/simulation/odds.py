"""What the seed decides of the faults of a history, and the summary of what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.simulation.destination import DestinationFaults
from tests.simulation.files import IDS
from tests.simulation.store import StoreFaults


@dataclass
class Summary:
    """What happened in a history. ``repeats`` is how many events were accepted that had been accepted before."""

    seed: int
    violation: str = ""
    kills: int = 0
    stalls: int = 0
    stops: int = 0
    seconds: float = 0.0
    steps: int = 0
    processes: int = 0
    repeats: int = 0
    accepted: int = 0
    trace: Sequence[str] = ()


@dataclass
class Odds:
    """How likely each fault is per step. About half are nothing, so that each kind of fault also comes alone.

    ``is_compacted``: the history begins with a compacted day.
    """

    kill: float
    stall: float
    stop: float
    change: float
    start: float
    is_compacted: bool

    @classmethod
    def drawn(cls, random: Random) -> Odds:
        """The odds of a history."""
        return cls(
            kill=random.choice((0.0, 0.001, 0.004)),
            stall=random.choice((0.0, 0.0, 0.002, 0.01)),
            stop=random.choice((0.0, 0.0, 0.001)),
            change=random.choice((0.0, 0.004, 0.01, 0.03)),
            start=random.choice((0.005, 0.02)),
            is_compacted=random.random() < 0.3,
        )


def store_faults(random: Random) -> tuple[StoreFaults, StoreFaults]:
    """The faults of the state's store and of the source's."""
    lost, down = random.choice((0.0, 0.0, 0.05, 0.15)), random.choice((0.0, 0.0, 0.02, 0.1))
    return StoreFaults(lost, down), StoreFaults(0.0, down / 4)


def destination_faults(random: Random) -> DestinationFaults:
    """The faults of the destination."""
    return DestinationFaults(
        throttled=random.choice((0.0, 0.1)),
        failed=random.choice((0.0, 0.0, 0.1, 0.3)),
        lost=random.choice((0.0, 0.0, 0.1)),
        ended=random.choice((0.0, 0.0, 0.02)),
        whole=random.choice((0.0, 0.5)),
        refused=set(random.sample(IDS, random.choice((0, 2, 5)))),
        never=set(random.sample(IDS, random.choice((0, 0, 2)))),
    )
