"""The demo, whole, as `make demo` runs it; and what it says when something is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from tests.tools import demo
from tests.tools.airflow_env import ROOT

GOOD = {"hour": "2026-11-23-08", "totals": {"read": 3, "sent": 1, "duplicate": 1, "filtered": 0, "dead_lettered": 1}}


def test_the_demo_exports_its_hours_and_accounts_for_every_row() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.tools.demo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(re.findall(r"^Exporting hour \S+ through Airflow: done", run.stdout, re.MULTILINE)) == 3
    assert re.search(r"^Exporting hour \S+ again, which sends the late file alone: done", run.stdout, re.MULTILINE)
    [row] = re.findall(r"^ ?all hours +([\d, ]+)$", run.stdout, re.MULTILINE)
    read, sent, duplicate, filtered, dead_lettered = (int(each.replace(",", "")) for each in row.split())
    assert read == 9250 == sent + duplicate + filtered + dead_lettered
    assert (duplicate, dead_lettered) == (180, 6)
    assert run.stdout.count('"detail-type": "users.behaviors.Purchase"') == 3
    assert "The books balance, and the bus holds what was sent." in run.stdout
    assert max(map(len, re.findall(r"^ .*$", run.stdout, re.MULTILINE))) <= 80


def printed(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> str:
    """What a step of a second prints."""
    environ = {"TERM": "xterm"}
    console = Console(file=StringIO(), force_terminal=terminal, width=80, highlight=False, _environ=environ)
    monkeypatch.setattr(demo, "console", console)
    with demo.step("Exporting hour 2026-11-23-08 through Airflow"):
        time.sleep(1.2)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_step_writes_two_lines_into_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, done = printed(monkeypatch, terminal=False).splitlines()
    assert begun == "Exporting hour 2026-11-23-08 through Airflow ..."
    assert re.fullmatch(r"Exporting hour 2026-11-23-08 through Airflow: done \(\d+\.\d s\)", done)


def test_a_step_moves_on_a_terminal_and_leaves_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    text = re.sub(r"\x1b\[\d*m", "", printed(monkeypatch, terminal=True))
    frames = re.findall(r"(\S) Exporting hour 2026-11-23-08 through Airflow (\d:\d\d:\d\d)", text)
    assert len({spinner for spinner, _ in frames}) > 1
    assert {clock for _, clock in frames} == {"0:00:00", "0:00:01"}
    # What moved is erased.
    assert text.rpartition("\x1b[2K")[2].startswith("Exporting hour 2026-11-23-08 through Airflow: done")


class Bus:
    """What ``check`` asks of local AWS."""

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids

    def accepted(self) -> list[dict[str, Any]]:
        return [{"DetailType": "t", "Detail": f'{{"id":"{each}"}}'} for each in self.ids]


@pytest.mark.parametrize(
    ("manifest", "ids", "fault"),
    [
        (GOOD, ["a"], None),
        (GOOD, [], "events sent: 1, but on the bus: 0"),
        (GOOD, ["a", "a"], "events that reached the bus twice: 1"),
        ({**GOOD, "totals": {**GOOD["totals"], "read": 4}}, ["a"], "2026-11-23-08: the books do not balance"),  # type: ignore[dict-item]
        ({**GOOD, "totals": dict.fromkeys(demo.COLUMNS, 0)}, [], "2026-11-23-08: the books do not balance"),
    ],
)
def test_the_demo_finds_what_is_wrong(
    manifest: dict[str, Any], ids: list[str], fault: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "delivered_events", lambda aws, count: [{}])
    faults = demo.check([manifest], Bus(ids))  # type: ignore[arg-type]
    assert faults == [] if fault is None else fault in faults


def test_a_queue_that_stays_empty_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "delivered_events", lambda aws, count: [])
    assert demo.check([GOOD], Bus(["a"])) == ["the rule delivered no event to its queue"]  # type: ignore[arg-type]
