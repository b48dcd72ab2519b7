"""The whole way, from a Parquet file to EventBridge: this project against the stock way, same rows, sink and run.

The stock way is what people write today: pandas `to_dict`, `json.dumps`, and `EventBridgeHook().conn.put_events` in
tens from eight threads. Files and state are in memory for both, so that S3 has no say. Each runs in a process of its
own, whose CPU time is that of all its threads, without the start.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pandas as pd
from airflow.providers.amazon.aws.hooks.eventbridge import EventBridgeHook
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.encode import envelope
from benchmarks.sink import ENTRIES, Sink, delayed, sink
from benchmarks.used import cpu_seconds, peak
from currents_aws.memory import MemoryObjects
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.delivering.deliver import Delivery
from currents_core.file_key import SourceFile, by_slice
from currents_core.hour import format_hour
from currents_core.sending.pacer import Pacer
from currents_core.setup.settings import Connector
from tests.tools.delivering import target_of
from tests.tools.sample import make_files

ROUNDS = 3
Kind = Literal["event_bus", "partner_source", "custom_bus"]
THREADS = 8
# Events of 1 KB in 34 columns, and of 0.3 KB in 7.
WIDE, NARROW = "users.messages.email.Click", "users.behaviors.Uninstall"
FILE_ROWS = 50_000
KINDS = {"ours": "event_bus", "partner": "partner_source", "custom": "custom_bus"}
FILES = {"ours": 6, "partner": 6, "custom": 6, "stock": 1}
DESTINATIONS = {
    "event_bus": {"name": "bus"},
    "partner_source": {"account": "123456789012", "partner_name": "example.com"},
    "custom_bus": {"name": "arn:aws:events:us-east-1:123456789012:event-busv2/bus/abcdefghijklmnopqrstuvwxy"},
}
HELD_RATE, HELD_SECONDS = 5_000.0, 60
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
}


@dataclass(frozen=True)
class Run:
    """What a run came to: events a second, requests a second, seconds of CPU, peak memory in MB, events."""

    rate: float
    requests: float
    cpu: float
    peak: float
    events: int

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds for a million events."""
        return self.cpu / self.events * 1e6


def ours(event_type: str, files: list[bytes], rate: float | None, *, kind: Kind = "event_bus") -> tuple[int, int]:
    """Delivers each file under an hour of its own; returns events and requests."""
    # As the operator does.
    gc.freeze()
    source, state = MemoryObjects("source"), MemoryObjects("state")
    listed = []
    for number, body in enumerate(files):
        hour = format_hour(datetime.fromtimestamp(1_795_420_800 + 3600 * number, UTC))
        key = f"event_type={event_type}/date={hour}/0.parquet"
        source.write(key, body)
        listed.append(SourceFile("source", key, source.etag(key), len(body)))
    settings = {
        "name": "benchmark",
        "source": {"bucket": "source"},
        "destination": {"kind": kind, "region": "us-east-1", **DESTINATIONS[kind]},
        "state": {"bucket": "state"},
        "budget": {"entries_per_second": 1_000_000},
    }
    connector = Connector.model_validate(settings)
    target = target_of(connector)
    delivery = Delivery(
        connector=connector,
        source=source,
        target=target,
        pacer=Pacer(rate, None),
        ledger=Ledger(state, Layout()),
    )
    sent = delivery.deliver(by_slice(listed)).totals.sent
    target.close()
    return sent, delivery.figures.requests


def partner(event_type: str, files: list[bytes], rate: float | None) -> tuple[int, int]:
    """The same to a partner event source."""
    return ours(event_type, files, rate, kind="partner_source")


def custom(event_type: str, files: list[bytes], rate: float | None) -> tuple[int, int]:
    """The same to a custom bus."""
    return ours(event_type, files, rate, kind="custom_bus")


def stock(event_type: str, files: list[bytes], _rate: float | None) -> tuple[int, int]:
    """The usual way; returns events and requests."""
    client: Any = EventBridgeHook(aws_conn_id="aws_default").conn  # type: ignore[no-untyped-call]
    events = requests = 0
    with ThreadPoolExecutor(THREADS) as threads:
        for body in files:
            rows = pd.read_parquet(BytesIO(body)).to_dict("records")
            entries = map(partial(_entry, event_type), rows)
            tens = iter(partial(_take, entries), [])
            requests += sum(1 for _ in threads.map(lambda ten: client.put_events(Entries=ten), tens))
            events += len(rows)
    return events, requests


def _take(entries: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(islice(entries, ENTRIES))


def _entry(event_type: str, row: dict[Hashable, Any]) -> dict[str, Any]:
    return {
        "EventBusName": "bus",
        "Source": "braze.currents",
        "DetailType": event_type,
        "Detail": json.dumps(envelope(row, event_type)),
        "Time": datetime.fromtimestamp(row["time"], UTC),
    }


def child(sender: str, folder: Path, event_type: str, count: int, rate: float | None) -> None:
    """Warms up, sends the file so many times, and prints what that took."""
    run = {"ours": ours, "partner": partner, "custom": custom, "stock": stock}[sender]
    run(event_type, [(folder / f"{event_type}.small").read_bytes()], None)
    body = (folder / event_type).read_bytes()
    wall, cpu = time.perf_counter(), cpu_seconds()
    events, requests = run(event_type, [body] * count, rate)
    seconds = time.perf_counter() - wall
    print(json.dumps([events / seconds, requests / seconds, cpu_seconds() - cpu, peak() / 1024, events]))


@dataclass(frozen=True)
class Bench:
    """Files of one event type in a folder, and where to send them."""

    folder: Path
    event_type: str
    where: Sink

    def measure(self, sender: str, count: int, rate: float | None = None) -> Run:
        """One run in a process of its own, with the file sent so many times."""
        options = ["--sender", sender, "--folder", str(self.folder), "--event-type", self.event_type]
        options += ["--count", str(count), "--rate", str(rate or 0)]
        environment = {**os.environ, **ENVIRONMENT, "AWS_ENDPOINT_URL": self.where.url}
        if self.where.certificate:
            environment["AWS_CA_BUNDLE"] = self.where.certificate
        command = [sys.executable, "-m", "benchmarks.export", *options]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
        return Run(*json.loads(done.stdout.splitlines()[-1]))


def compare(folder: Path) -> Table:
    """Both ways, against each sink."""
    names = ("events and sink", "events/s\nours", "\nstock", "\nratio", "CPU s per million\nours", "\nstock", "\nratio")
    table = Table(*names, title="From Parquet to EventBridge", box=box.SIMPLE_HEAD)
    sinks = {
        "wide, HTTP": (WIDE, sink()),
        "wide, TLS": (WIDE, sink(tls=True)),
        "wide, 10 ms": (WIDE, delayed(0.010)),
        "narrow, HTTP": (NARROW, sink()),
    }
    for name, (event_type, started) in sinks.items():
        with started as where:
            bench = Bench(folder, event_type, where)
            runs = [[bench.measure(way, FILES[way]) for way in ("ours", "stock")] for _ in range(ROUNDS)]
        rates = [[run.rate for run in pair] for pair in runs]
        costs = [[run.cpu_per_million for run in pair] for pair in runs]
        table.add_row(
            name,
            *(f"{statistics.median(each):,.0f}" for each in zip(*rates, strict=True)),
            _ratio([mine / theirs for mine, theirs in rates]),
            *(f"{statistics.median(each):,.0f}" for each in zip(*costs, strict=True)),
            _ratio([theirs / mine for mine, theirs in costs]),
        )
    return table


def kinds(folder: Path) -> Table:
    """A partner event source and a custom bus against a classic one."""
    names = ("wide events, HTTP", "events/s", "requests/s", "CPU s per million")
    table = Table(*names, title="Kinds of destinations", box=box.SIMPLE_HEAD)
    with sink() as where:
        bench = Bench(folder, WIDE, where)
        runs = [{way: bench.measure(way, FILES[way]) for way in KINDS} for _ in range(ROUNDS)]
    for way, kind in KINDS.items():
        told = [(run[way].rate, run[way].requests, run[way].cpu_per_million) for run in runs]
        table.add_row(kind, *(f"{statistics.median(each):,.0f}" for each in zip(*told, strict=True)))
    for way, kind in KINDS.items():
        if way != "ours":
            rates = [run[way].rate / run["ours"].rate for run in runs]
            costs = [run["ours"].cpu_per_million / run[way].cpu_per_million for run in runs]
            table.add_row(f"{kind}, ratio", _ratio(rates), "", _ratio(costs))
    return table


def _ratio(found: list[float]) -> str:
    return f"{statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f})"


def held(folder: Path) -> Table:
    """One task at a rate for a minute, and its memory beside that of one file."""
    names = ("events", "files", "sent", "requests/s", "CPU s per million", "peak, MB", "against one file")
    table = Table(*names, title=f"One task whose share is {HELD_RATE:,.0f} requests/s", box=box.SIMPLE_HEAD)
    files = round(HELD_RATE * ENTRIES * HELD_SECONDS / FILE_ROWS)
    with sink() as where:
        for name, event_type in {"wide": WIDE, "narrow": NARROW}.items():
            bench = Bench(folder, event_type, where)
            runs = {count: bench.measure("ours", count, HELD_RATE) for count in (1, files)}
            for count, run in runs.items():
                figures = (f"{run.events:,}", f"{run.requests:,.0f}", f"{run.cpu_per_million:,.0f}", f"{run.peak:,.0f}")
                table.add_row(name, f"{count}", *figures, f"{run.peak / runs[1].peak:.2f}")
    return table


def main() -> None:
    """Prints three tables."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for event_type in (WIDE, NARROW):
            for suffix, rows in {".small": 1_000, "": FILE_ROWS}.items():
                [file] = make_files(["2026-11-23-08"], [event_type], rows=rows)
                (folder / f"{event_type}{suffix}").write_bytes(file.body)
        console = Console()
        console.print(compare(folder))
        console.print(kinds(folder))
        console.print(held(folder))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measures the whole way against the stock one")
    parser.add_argument("--sender", choices=FILES, help="for the processes that it starts, as all other options")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--event-type")
    parser.add_argument("--count", type=int)
    parser.add_argument("--rate", type=float)
    given = parser.parse_args()
    if given.sender:
        child(given.sender, given.folder, given.event_type, given.count, given.rate or None)
    else:
        main()
