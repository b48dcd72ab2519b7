"""Deliveries in 1, 2 and 4 processes at a time: events a second of all together, and CPU an event.

Each delivers hours of its own, with files and state in memory, so that sending and what comes before it are all that is
measured. All send to one nginx, which shares the machine with them: what it takes is told beside.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.export import ENVIRONMENT, WIDE, Kind, ours
from benchmarks.sink import sink
from benchmarks.used import cpu_seconds, peak
from tests.tools.sample import make_files

SMALL_ROWS = 1_000
# Below this share of the machine, something else than its cores held the senders up.
BUSY = 0.9


@dataclass(frozen=True)
class Team:
    """What some workers came to together.

    - seconds: from the start of all to the end of the last
    - cpu, sink: seconds of CPU of the workers and of nginx
    - others: those of everything else on the machine
    - peak: of the worker with the most, in MB
    """

    workers: int
    events: int
    seconds: float
    cpu: float
    sink: float
    others: float
    peak: float

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cpu_per_event(self) -> float:
        """Microseconds."""
        return self.cpu / self.events * 1e6

    def binds(self, cores: int) -> str:
        """What holds them up: the cores of the machine, nginx's only process, or neither."""
        if self.cpu + self.sink + self.others >= BUSY * cores * self.seconds:
            return "the cores"
        return "the sink" if self.sink >= BUSY * self.seconds else "a worker's own threads"


def child(kind: Kind, folder: Path, count: int) -> None:
    """Warms up, waits for a line, sends the file so many times, and prints what that took."""
    ours(WIDE, [(folder / "small").read_bytes()], None, kind=kind)
    body = (folder / "large").read_bytes()
    print("ready", flush=True)
    sys.stdin.readline()
    before = cpu_seconds()
    events, _ = ours(WIDE, [body] * count, None, kind=kind)
    print(json.dumps([events, cpu_seconds() - before, peak() / 1024]), flush=True)


@contextmanager
def samples(rows: int) -> Iterator[Path]:
    """A folder with a large file and a small one."""
    with TemporaryDirectory() as name:
        for file_name, count in {"large": rows, "small": SMALL_ROWS}.items():
            [file] = make_files(["2026-11-23-08"], [WIDE], rows=count)
            (Path(name) / file_name).write_bytes(file.body)
        yield Path(name)


def measure(folder: Path, workers: int, *, files: int, kind: Kind = "event_bus", timeout: float = 600) -> Team:
    """Has so many files delivered, as evenly as it goes, by so many workers at a time."""
    with sink() as where, ExitStack() as stack:
        environment = {**os.environ, **ENVIRONMENT, "AWS_ENDPOINT_URL": where.url}
        started = []
        for number in range(workers):
            count = files // workers + (number < files % workers)
            options = ["--kind", kind, "--folder", str(folder), "--count", str(count)]
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.scale_workers", *options],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(_end, process)
            started.append(process)
        for process in started:
            assert process.stdout
            # Airflow logs to the standard output as well.
            assert any(line == "ready\n" for line in process.stdout), "a worker ended before it could begin"
        machine, of_sink, began = _machine(), _of_tree(where.process), time.perf_counter()
        for process in started:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [json.loads(process.communicate(timeout=timeout)[0].splitlines()[-1]) for process in started]
        seconds = time.perf_counter() - began
        cpu, of_sink = sum(each[1] for each in told), _of_tree(where.process) - of_sink
        others = max(0.0, _machine() - machine - cpu - of_sink)
        return Team(
            workers, sum(each[0] for each in told), seconds, cpu, of_sink, others, max(each[2] for each in told)
        )


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def _machine() -> float:
    """Seconds of CPU that the machine has used so far."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system + times.irq + times.softirq


def _of_tree(process: int) -> float:
    """Seconds of CPU that a process and its children have used so far."""
    first = psutil.Process(process)
    times = [each.cpu_times() for each in (first, *first.children(recursive=True))]
    return sum(each.user + each.system for each in times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A worker of the benchmarks of scale")
    parser.add_argument("--kind", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    given = parser.parse_args()
    child(given.kind, given.folder, given.count)
