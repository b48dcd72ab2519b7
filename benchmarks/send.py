"""Sending alone: requests of ten entries of about 1 KB, through the fast transport and through plain boto3.

Both send the same requests to the same sink, in turn, each in a process of its own whose CPU time is what counts: user
and system, of all its threads, without the start. The ratio is that of requests per CPU-second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from threading import Semaphore
from typing import Any

import boto3
import orjson
from botocore.config import Config
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.sink import ENTRIES, Sink, delayed, sink
from benchmarks.used import cpu_seconds
from currents_aws.crt_transport import CrtTransport
from currents_aws.transport import Answer
from currents_core.errors import CurrentsError

ROUNDS = 3
THREADS = 8
REQUESTS = {"ours": 10_000, "boto3": 1_000}
WARM_UP = 300


@dataclass(frozen=True)
class Run:
    """One sender's run: requests a second, and milliseconds of CPU a request."""

    rate: float
    cpu: float


def parameters() -> dict[str, Any]:
    """The parameters of one request."""
    properties = {f"property_{number}": f'a "quoted" value, number {number}' for number in range(18)}
    detail = json.dumps({"id": "11710aed-b79e-4468-a20b-bb3c0c3b4860", "properties": properties})
    entry = {
        "EventBusName": "braze",
        "Source": "braze.currents",
        "DetailType": "users.messages.email.Open",
        "Detail": detail,
        "Time": 1_795_420_801,
        "Resources": ["arn:aws:s3:::bucket/currents/dataexport/event_type=users.messages.email.Open/file.avro"],
    }
    return {"Entries": [entry] * ENTRIES}


@contextmanager
def ours(client: Any) -> Iterator[Callable[[int], None]]:
    """Sends through the fast transport, as many at a time as it takes."""
    transport, request = CrtTransport(client), parameters()
    free = Semaphore(transport.in_flight)

    def done(outcome: object) -> None:
        if not isinstance(outcome, Answer) or outcome.status != 200:
            failures.append(outcome)
        free.release()

    failures: list[object] = []

    def send(count: int) -> None:
        for _ in range(count):
            free.acquire()
            transport.send("PutEvents", orjson.dumps(request), done)
        for _ in range(transport.in_flight):
            free.acquire()
        free.release(transport.in_flight)
        if failures:
            raise CurrentsError(f"{len(failures)} requests failed, the first with {failures[0]}")

    yield send
    transport.close()


@contextmanager
def plain(client: Any) -> Iterator[Callable[[int], None]]:
    """Sends through boto3, from some threads."""
    request = parameters()
    with ThreadPoolExecutor(THREADS) as threads:

        def send(count: int) -> None:
            for _ in threads.map(lambda _: client.put_events(**request), range(count)):
                pass

        yield send


def child(sender: str, where: Sink) -> None:
    """Sends, and prints what that took."""
    made: Any = boto3.client
    client = made(
        "events",
        endpoint_url=where.url,
        verify=where.certificate or None,
        region_name="us-east-1",
        aws_access_key_id="benchmark",
        aws_secret_access_key="benchmark",
        config=Config(max_pool_connections=THREADS, retries={"total_max_attempts": 1}),
    )
    count = REQUESTS[sender]
    with (ours if sender == "ours" else plain)(client) as send:
        send(WARM_UP)
        wall, cpu = time.perf_counter(), cpu_seconds()
        send(count)
        print(json.dumps([count / (time.perf_counter() - wall), (cpu_seconds() - cpu) / count * 1000]))


def measure(sender: str, where: Sink) -> Run:
    """One run in a process of its own."""
    options = ["--sender", sender, "--url", where.url, "--certificate", where.certificate]
    command = [sys.executable, "-m", "benchmarks.send", *options]
    return Run(*json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def main() -> None:
    """Prints one table."""
    sinks: dict[str, AbstractContextManager[Sink]] = {
        "HTTP": sink(),
        "TLS": sink(tls=True),
        "HTTP, after 10 ms": delayed(0.010),
    }
    names = (
        "sink",
        "ours,\nper s",
        "boto3,\nper s",
        "ours,\nCPU ms",
        "boto3,\nCPU ms",
        "ratio,\nmedian",
        "least to most",
    )
    table = Table(*names, title="Requests of ten entries", box=box.SIMPLE_HEAD)
    for name, started in sinks.items():
        with started as where:
            pairs = [(measure("ours", where), measure("boto3", where)) for _ in range(ROUNDS)]
        table.add_row(name, *_figures(pairs))
    Console().print(table)


def _figures(pairs: list[tuple[Run, Run]]) -> Iterator[str]:
    yield from (f"{statistics.median(pair[side].rate for pair in pairs):,.0f}" for side in (0, 1))
    yield from (f"{statistics.median(pair[side].cpu for pair in pairs):.3f}" for side in (0, 1))
    ratios = [theirs.cpu / mine.cpu for mine, theirs in pairs]
    yield f"{statistics.median(ratios):.1f}"
    yield f"{min(ratios):.1f} to {max(ratios):.1f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measures sending alone")
    parser.add_argument("--sender", choices=REQUESTS, help="for the processes that it starts, as all other options")
    parser.add_argument("--url", default="")
    parser.add_argument("--certificate", default="")
    arguments = parser.parse_args()
    if arguments.sender:
        child(arguments.sender, Sink(arguments.url, arguments.certificate))
    else:
        main()
