"""The demo, whole, as `make demo` runs it; and what it says when something is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from tests.tools import demo, demo_custom_bus, demo_event_bus, demo_run
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


@pytest.mark.slow
def test_the_demo_of_a_custom_bus_kills_an_export_and_its_consumer_sees_no_event_twice() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.tools.demo", "--kind", "custom_bus"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(re.findall(r"^Exporting hour \S+ through Airflow: done", run.stdout, re.MULTILINE)) == 2
    [taken] = re.findall(r"^  SIGKILL, after the bus had taken (\d+) of its events$", run.stdout, re.MULTILINE)
    assert 150 <= int(taken) < 586
    [deduplicated] = re.findall(r"^  (\d+) of its events were on the bus,", run.stdout, re.MULTILINE)
    assert 0 < int(deduplicated) <= 586
    [row] = re.findall(r"^ ?all hours +([\d, ]+)$", run.stdout, re.MULTILINE)
    assert row.split() == ["1,800", "1,758", "36", "0", "6"]
    assert "The consumer behind the bus saw 1,758 events, each of them once." in run.stdout
    assert "The books balance, and the bus holds what was sent." in run.stdout
    assert max(map(len, re.findall(r"^ .*$", run.stdout, re.MULTILINE))) <= 80


def test_a_consumer_that_sees_an_event_twice_or_never_is_a_fault() -> None:
    demo = demo_custom_bus.CustomBusDemo()
    demo._manifests = [GOOD]
    demo._consumer = SimpleNamespace(seen=Counter({("t", "a"): 2}))  # type: ignore[assignment]
    assert demo.faults() == ["events that the consumer saw twice: 1"]
    demo._consumer.seen.clear()
    assert demo.faults() == ["events sent: 1, but the consumer saw: 0"]


def test_an_export_that_ends_before_it_is_killed_ends_the_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo_run, "LOG", tmp_path / "log")
    (tmp_path / "airflow").write_text("#!/bin/sh\nexec true\n")
    (tmp_path / "airflow").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    with pytest.raises(demo_run.DemoError, match=f"could not be killed in the middle; its log is {tmp_path}"):
        demo_run.kill_export("2026-11-23-08", environment, ready=lambda: False)


def test_a_command_that_fails_is_told_with_the_errors_in_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo_run, "LOG", tmp_path / "log")
    (tmp_path / "airflow").write_text("#!/bin/sh\necho fine; echo an error; exit 1\n")
    (tmp_path / "airflow").chmod(0o755)
    with pytest.raises(demo_run.DemoError, match=r"(?s)^`airflow dags test .*its log is .*/log\nan error$"):
        demo_run.export_hour("2026-11-23-08", {"PATH": f"{tmp_path}:/usr/bin:/bin"})


def printed(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> str:
    """What a step of a second prints."""
    environ = {"TERM": "xterm"}
    console = Console(file=StringIO(), force_terminal=terminal, width=80, highlight=False, _environ=environ)
    monkeypatch.setattr(demo_run, "console", console)
    with demo_run.step("Exporting hour 2026-11-23-08 through Airflow"):
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
def test_the_demo_finds_what_is_wrong(manifest: dict[str, Any], ids: list[str], fault: str | None) -> None:
    faults = demo.check([manifest], Bus(ids))  # type: ignore[arg-type]
    assert faults == [] if fault is None else fault in faults


def test_a_queue_that_stays_empty_is_a_fault() -> None:
    assert demo_event_bus.EventBusDemo().faults() == ["the rule delivered no event to its queue"]
