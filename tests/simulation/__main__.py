"""Plays histories: a seed that breaks a promise is printed, and plays again alone.

python -m tests.simulation SEED               one, with its trace
python -m tests.simulation FIRST COUNT        many, in a process for each core
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.history import play
from tests.simulation.odds import Summary

_AT_A_TIME = 50


def main(arguments: list[str]) -> int:
    """Returns 1 if a promise was broken."""
    if len(arguments) == 1:
        summary = play(int(arguments[0]), trace=True)
        print("\n".join(summary.trace))
        print(summary.violation or "no promise was broken")
        return bool(summary.violation)
    first, count = map(int, arguments)
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        parts = (range(at, min(at + _AT_A_TIME, first + count)) for at in range(first, first + count, _AT_A_TIME))
        return report(pool.map(_play_all, parts), began)


def _play_all(seeds: Iterable[int]) -> list[Summary]:
    return [play(seed) for seed in seeds]


def report(parts: Iterable[list[Summary]], began: float) -> int:
    """Prints each broken promise as it comes, and then what was played. Returns 1 if there was any."""
    played: list[Summary] = []
    for part in parts:
        played += part
        for summary in part:
            if summary.violation:
                print(f"seed {summary.seed}: {summary.violation}", flush=True)
    broken = sum(bool(each.violation) for each in played)
    seconds = time.monotonic() - began
    print(
        f"{len(played):,} seeds, {broken} defects; {sum(each.seconds for each in played) / 3600:,.0f} simulated hours, "
        f"{sum(each.processes for each in played):,} processes, {sum(each.kills for each in played):,} kills, "
        f"{sum(each.stalls for each in played):,} stalls, {sum(each.stops for each in played):,} stops, "
        f"{sum(each.accepted for each in played):,} events accepted, {sum(each.repeats for each in played):,} of them "
        f"again; {seconds:,.0f} s"
    )
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
