"""Whether the simulation finds what it is for: faults in the core that leave out one rule each."""

from __future__ import annotations

import pytest

from tests.simulation.history import play
from tests.simulation.planted import FAULTS, Fault

# Processes that are killed leave their files open.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

_MOST = 5_000


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_still_has_its_place_in_the_core(fault: Fault) -> None:
    with fault.planted():
        assert fault.old != fault.new


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(fault: Fault) -> None:
    with fault.planted():
        assert any(play(seed).violation for seed in range(0, _MOST, fault.every))
