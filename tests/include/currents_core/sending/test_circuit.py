from __future__ import annotations

from currents_core.sending.circuit import Circuit
from currents_core.sending.retry import Backoff


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def failing(circuit: Circuit, times: int) -> None:
    for _ in range(times):
        circuit.failed()


def test_a_few_failures_change_nothing() -> None:
    circuit = Circuit()
    failing(circuit, 19)
    assert not circuit.is_open
    assert circuit.wait(in_flight=5) == 0
    circuit.succeeded()
    failing(circuit, 19)
    assert not circuit.is_open


def test_twenty_failures_in_a_row_open_it_also_after_a_success() -> None:
    circuit = Circuit()
    for _ in range(2):
        failing(circuit, 20)
        assert circuit.is_open
        circuit.succeeded()
        assert circuit.wait(in_flight=5) == 0


def test_patience_counts_from_the_first_failure_after_a_success() -> None:
    clock = Clock()
    circuit = Circuit(patience=10, clock=clock)
    circuit.failed()
    circuit.succeeded()
    clock.now = 100.0
    circuit.failed()
    clock.now = 105.0
    said = [circuit.given_up]
    clock.now = 111.0
    assert [*said, circuit.given_up] == [False, True]


def test_when_everything_fails_one_probe_goes_at_a_time_after_growing_waits() -> None:
    clock = Clock()
    circuit = Circuit(backoff=Backoff(base=1, cap=8, uniform=lambda low, high: high), clock=clock)
    failing(circuit, 20)
    waits = []
    for _ in range(5):
        assert circuit.wait(in_flight=1) == float("inf")
        waits.append(circuit.wait(in_flight=0))
        clock.now += waits[-1]
        assert circuit.wait(in_flight=0) == 0
        circuit.failed()
    assert waits == [1, 2, 4, 8, 8]
    circuit.succeeded()
    assert circuit.wait(in_flight=50) == 0


def test_it_gives_up_when_nothing_gets_through_for_too_long() -> None:
    clock = Clock()
    circuit = Circuit(patience=10, clock=clock)
    said = [circuit.given_up]
    circuit.failed()
    for now in (10, 10.1):
        clock.now = now
        said.append(circuit.given_up)
    circuit.succeeded()
    assert [*said, circuit.given_up] == [False, False, True, False]
