"""The demo: exports a few hours of sample events to a local EventBridge, through Airflow, and prints the account.

python -m tests.tools.demo [--kind event_bus]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from rich import box
from rich.table import Table

from currents_core.errors import CurrentsError
from tests.tools.demo_custom_bus import CustomBusDemo
from tests.tools.demo_event_bus import EventBusDemo
from tests.tools.demo_partner_source import PartnerSourceDemo
from tests.tools.demo_run import HOME, Demo, DemoError, Manifest, console, step, took
from tests.tools.local_aws import LocalAws, local_aws

# The demo of each kind of destination.
KINDS: dict[str, Callable[[], Demo]] = {
    "event_bus": EventBusDemo,
    "partner_source": PartnerSourceDemo,
    "custom_bus": CustomBusDemo,
}
COLUMNS = ("read", "sent", "duplicate", "filtered", "dead_lettered")
NEXT = """
What next
  make up             the same in the Airflow UI: trigger, clear, look around
  docs/install.md     install it into your own Airflow
  docs/connectors.md  name your own bucket and bus"""


def main(kind: str = "event_bus") -> int:
    """Runs the demo of a kind; 0 only if the books balance and the bus holds what was sent."""
    started = time.monotonic()
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    demo = KINDS[kind]()
    try:
        with ExitStack() as stack:
            with step("Starting a local AWS"):
                aws = stack.enter_context(local_aws())
            manifests = demo.play(aws)
            console.print(account(manifests))
            demo.show()
            faults = check(manifests, aws, may_repeat=demo.may_repeat()) + demo.faults()
    except (CurrentsError, DemoError, RuntimeError) as error:
        console.print(f"[red]{error}[/red]")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped. Nothing was left running; `make demo` starts over.")
        return 130
    for fault in faults:
        console.print(f"[red]{fault}[/red]")
    if not faults:
        console.print(f"\n[green]The books balance, and the bus holds what was sent.[/green] {took(started)}")
        console.print(NEXT)
    return 1 if faults else 0


def account(manifests: Sequence[Manifest]) -> Table:
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


def check(manifests: Sequence[Manifest], aws: LocalAws, *, may_repeat: int = 0) -> list[str]:
    """What is wrong, a line each: books that do not balance, events that the bus does not hold, or holds twice.

    ``may_repeat`` is how many it may hold twice.
    """
    faults = [f"{each['hour']}: the books do not balance" for each in manifests if not _balances(each["totals"])]
    sent = sum(manifest["totals"]["sent"] for manifest in manifests)
    ids = Counter((entry["DetailType"], json.loads(entry["Detail"])["id"]) for entry in aws.accepted())
    if len(ids) != sent:
        faults.append(f"events sent: {sent:,}, but on the bus: {len(ids):,}")
    repeated = ids.total() - len(ids)
    if repeated > may_repeat:
        faults.append(f"events that reached the bus twice: {repeated:,}")
    return faults


def _balances(totals: dict[str, int]) -> bool:
    return totals["read"] > 0 and totals["read"] == sum(totals[name] for name in COLUMNS[1:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The demo")
    parser.add_argument("--kind", default="event_bus", choices=list(KINDS), help="the kind of destination")
    sys.exit(main(parser.parse_args().kind))
