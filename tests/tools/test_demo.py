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

from tests.tools import demo, demo_custom_bus, demo_event_bus, demo_log, demo_partner_source, demo_run
from tests.tools.airflow_env import ROOT

GOOD = {"hour": "2026-11-23-08", "totals": {"read": 3, "sent": 1, "duplicate": 1, "filtered": 0, "dead_lettered": 1}}


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_demo_of_a_partner_source_goes_from_an_account_id_to_events_and_back_from_a_deleted_bus() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.tools.demo", "--kind", "partner_source"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    text = " ".join(run.stdout.split())
    tasks = re.findall(r"^Task `(\w+)` (\w+)$", run.stdout, re.MULTILINE)
    assert [task for task, fate in tasks if fate == "failed"] == ["discover", "discover", "deliver"]
    assert [task for task, fate in tasks if fate == "logged"] == ["create", "associate", "wait", "check", "wait"]
    source = "aws.partner/example.com/demo/123456789012"
    assert "there is no such source" in text
    assert f"offered to account 123456789012: {source} is PENDING" in text
    assert "it expires at" in text
    assert re.search(r"^  1\. open https://\S+/partners$", run.stdout, re.MULTILINE)
    assert text.count("so EventBridge would drop what is sent") == 2
    assert "requests with events that EventBridge got so far: 0" in text
    assert text.count(f"{source} is ACTIVE") == 3
    [arrived] = re.findall(r"On the bus by then: (\d+) of its events", run.stdout)
    [repeated] = re.findall(r"Of that, (\d+) events had arrived already", run.stdout)
    assert 0 <= int(repeated) <= int(arrived) < 178
    [row] = re.findall(r"^ ?all hours +([\d, ]+)$", run.stdout, re.MULTILINE)
    read, sent, duplicate, filtered, dead_lettered = map(int, row.split())
    assert read == 360 == sent + duplicate + filtered + dead_lettered
    assert f"The queue behind the customer's rule has every event: {sent} of them." in run.stdout
    assert "The books balance, and the bus holds what was sent." in run.stdout
    assert max(map(len, re.findall(r"^ .*$", run.stdout, re.MULTILINE))) <= 80


def test_a_customer_who_misses_an_event_or_is_sent_one_too_early_is_a_fault() -> None:
    demo = demo_partner_source.PartnerSourceDemo()
    demo._manifests = [GOOD]
    demo._consumer = SimpleNamespace(seen=Counter({("t", "a"): 2}))  # type: ignore[assignment]
    assert demo.faults() == []
    demo._consumer.seen.clear()
    demo._requests_while_refused = 3
    assert demo.faults() == [
        "events sent: 1, but the customer saw: 0",
        "put requests before the source was ACTIVE: 3",
    ]


def test_what_a_kind_may_send_twice_is_no_fault() -> None:
    assert demo.check([GOOD], Bus(["a", "a"]), may_repeat=1) == []  # type: ignore[arg-type]
    faults = demo.check([GOOD], Bus(["a", "a", "a"]), may_repeat=1)  # type: ignore[arg-type]
    assert faults == ["events that reached the bus twice: 2"]


LOG = """\
2026-11-28T15:09:46.912791Z [info     ] [DAG TEST] starting task_id=create map_index=-1 [airflow.sdk] loc=dag.py:1501
2026-11-28T15:09:51.048381Z [info     ] Task started   [airflow.api_fastapi.routes] loc=task_instances.py:226 ti_id=1
2026-11-28T15:09:52.197412Z [info     ] {0} [airflow.task.operators.currents_airflow.operators.a.B] loc=a.py:33
2026-11-28T15:09:53.912791Z [info     ] [DAG TEST] starting task_id=wait map_index=-1 [airflow.sdk] loc=dag.py:1501
2026-11-28T15:09:54.197412Z [info     ] again [airflow.task.operators.currents_airflow.operators.a.C] loc=sensor.py:9
2026-11-28T15:09:55.210377Z [error    ] it failed [airflow.task.operators.currents_airflow.operators.a.C] loc=base.py:89
Traceback (most recent call last):
"""


def test_what_tasks_told_is_found_in_the_log_and_fits_a_terminal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert demo_log.told_in(log) == []
    log.write_text("of before\n" + LOG.format("to do:\n  1. open https://a.test/" + "b" * 90 + " and look around"))
    told = demo_log.told_in(log, after=len("of before\n"))
    assert [(each.task, each.level) for each in told] == [("create", "info"), ("wait", "error")]
    assert list(told[0].lines()) == [
        "  to do:",
        "  1. open",
        f"     https://a.test/{'b' * 90}",
        "     and look around",
    ]
    assert list(told[1].lines()) == ["  it failed"]


@pytest.mark.parametrize(("log", "code"), [("", 1), (LOG.format("fine"), 0)])
def test_an_export_that_does_not_fail_as_it_should_ends_the_demo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: str, code: int
) -> None:
    monkeypatch.setattr(demo_run, "LOG", tmp_path / "log")
    (tmp_path / "said").write_text(log)
    (tmp_path / "airflow").write_text(f"#!/bin/sh\ncat {tmp_path}/said; exit {code}\n")
    (tmp_path / "airflow").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    with pytest.raises(demo_run.DemoError, match="should have failed, and told why"):
        demo_run.refused_export("2026-11-23-08", environment)


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
    assert {clock for _, clock in frames} >= {"0:00:00", "0:00:01"}
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
