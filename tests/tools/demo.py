"""The demo: exports a few hours of sample events to a local EventBridge, through Airflow, and prints the account."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from currents_core.errors import CurrentsError
from currents_core.setup.settings import Connector
from tests.tools.airflow_env import ROOT, airflow_env
from tests.tools.local_aws import LocalAws, local_aws
from tests.tools.stage import CONNECTOR, delivered_events, demo_hours, late_file, put_files, sample_files, set_stage

HOME = ROOT / ".local" / "demo"
LOG = HOME / "airflow.log"
COLUMNS = ("read", "sent", "duplicate", "filtered", "dead_lettered")
console = Console(highlight=False)


class DemoError(Exception):
    """The demo can't go on; the message says why and what to do."""


def main() -> int:
    """Runs the demo; 0 only if the books balance and the bus holds what was sent."""
    started = time.monotonic()
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    try:
        with ExitStack() as stack:
            with step("Starting a local AWS"):
                aws = stack.enter_context(local_aws())
            manifests = export(aws)
            console.print(account(manifests))
            show_events(aws)
            faults = check(manifests, aws)
    except (CurrentsError, DemoError, RuntimeError) as error:
        console.print(f"[red]{error}[/red]")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped. Nothing was left running; `make demo` starts over.")
        return 130
    for fault in faults:
        console.print(f"[red]{fault}[/red]")
    if not faults:
        console.print(f"\n[green]The books balance, and the bus holds what was sent.[/green] {_took(started)}")
        console.print(NEXT)
    return 1 if faults else 0


NEXT = """
What next
  make up             the same in the Airflow UI: trigger, clear, look around
  docs/install.md     install it into your own Airflow
  docs/connectors.md  name your own bucket and bus"""


def export(aws: LocalAws) -> list[dict[str, Any]]:
    """Writes the sample, runs the export DAG for each of its hours, and returns the hours' manifests."""
    hours = demo_hours(datetime.now(UTC))
    with step("Writing Currents files"):
        connector = set_stage(aws)
        files = sample_files(hours, prefix=connector.source.prefix)
        put_files(aws, connector, files)
    rows = sum(file.table.num_rows for file in files)
    console.print(f"  {len(files)} files with {rows:,} rows in s3://{connector.source.bucket}/")
    with step("Setting up Airflow's database"):
        airflow("db", "migrate", environment=aws.environment())
    for hour in hours:
        with step(f"Exporting hour {hour} through Airflow"):
            export_hour(aws, hour)
    put_files(aws, connector, [late_file(hours[0], prefix=connector.source.prefix)])
    console.print(f"  and wrote a late file for {hours[0]}, which a scheduled run would find")
    with step(f"Exporting hour {hours[0]} again, which sends the late file alone"):
        export_hour(aws, hours[0])
    return [read_manifest(aws, connector, hour) for hour in hours]


def export_hour(aws: LocalAws, hour: str) -> None:
    """Runs the export DAG for one hour."""
    conf = json.dumps({"hour": hour})
    airflow("dags", "test", f"currents_export_{CONNECTOR}", "--conf", conf, environment=aws.environment())


@contextmanager
def step(doing: str) -> Iterator[None]:
    """Shows what is going on, and how long it took: a terminal has a spinner and a clock, a log gets two lines."""
    began = time.monotonic()
    shown = (SpinnerColumn("line"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*shown, console=console, transient=True, disable=not console.is_interactive) as progress:
        if console.is_interactive:
            progress.add_task(doing, total=None)
        else:
            console.print(f"{doing} ...")
        yield
    console.print(f"{doing}: done {_took(began)}")


def airflow(*arguments: str, environment: dict[str, str]) -> None:
    """Runs Airflow's command line; its log goes to LOG. Raises DemoError where it fails."""
    with LOG.open("ab") as log:
        run = subprocess.run(
            ["airflow", *arguments],
            env={"LANG": "C.UTF-8", **airflow_env(HOME), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    if run.returncode:
        errors = [line for line in LOG.read_text("utf-8", "replace").splitlines() if "rror" in line]
        raise DemoError("\n".join([f"`airflow {' '.join(arguments)}` failed; its log is {LOG}", *errors[-3:]]))


def read_manifest(aws: LocalAws, connector: Connector, hour: str) -> dict[str, Any]:
    """The hour manifest, as the export wrote it."""
    key = f"{connector.state.prefix}{connector.name}/manifests/date={hour}.json"
    body = aws.client("s3").get_object(Bucket=connector.state.bucket, Key=key)["Body"].read()
    return dict(json.loads(body))


def account(manifests: Sequence[dict[str, Any]]) -> Table:
    """A table with a line per hour and event type, narrow enough for 80 columns."""
    headings = ("read", "sent", "dupli-\ncate", "filter-\ned", "dead-\nlettered")
    table = Table("hour and event type", *headings, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    for manifest in manifests:
        table.add_row(manifest["hour"], *_cells(manifest["totals"]), style="bold")
        for event_type, counts in manifest["event_types"].items():
            table.add_row(f"  {event_type}", *_cells(counts))
        table.add_section()
    totals = {name: sum(manifest["totals"][name] for manifest in manifests) for name in COLUMNS}
    table.add_row("all hours", *_cells(totals), style="bold")
    return table


def _cells(counts: dict[str, int]) -> list[str]:
    return [f"{counts[name]:,}" for name in COLUMNS]


def show_events(aws: LocalAws) -> None:
    """Prints three events as a rule of the bus delivered them to a queue."""
    console.print("\nThree events, as a rule of the bus delivered them to an SQS queue")
    for event in delivered_events(aws, 3):
        console.print_json(json.dumps(event), indent=None, ensure_ascii=False)


def check(manifests: Sequence[dict[str, Any]], aws: LocalAws) -> list[str]:
    """What is wrong, a line each: books that do not balance, events that the bus does not hold, or holds twice."""
    faults = [f"{each['hour']}: the books do not balance" for each in manifests if not _balances(each["totals"])]
    sent = sum(manifest["totals"]["sent"] for manifest in manifests)
    entries = aws.accepted()
    if len(entries) != sent:
        faults.append(f"events sent: {sent:,}, but on the bus: {len(entries):,}")
    ids = Counter((entry["DetailType"], json.loads(entry["Detail"])["id"]) for entry in entries)
    repeated = sum(count - 1 for count in ids.values())
    if repeated:
        faults.append(f"events that reached the bus twice: {repeated:,}")
    if not delivered_events(aws, 1):
        faults.append("the rule delivered no event to its queue")
    return faults


def _balances(totals: dict[str, int]) -> bool:
    return totals["read"] > 0 and totals["read"] == sum(totals[name] for name in COLUMNS[1:])


def _took(since: float) -> str:
    return f"({time.monotonic() - since:.1f} s)"


if __name__ == "__main__":
    sys.exit(main())
