"""Secrets and personal data stay where they are, whatever a run meets: nothing that it leaves elsewhere has any.

The runs are a scheduler's, over local AWS. What they leave is its folder with logs, output, temporary files and
database, the state, and the events.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.dags.canary_stage import (
    CUSTOM,
    OPEN,
    PLAIN,
    RULED,
    SECRETS,
    STATE,
    CanaryStage,
    bad_times,
    canary_stage,
    damaged,
    rows,
)
from tests.tools.awaiting import wait_for
from tests.tools.canaries import Place, files_in, found, objects_in, sqlite
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import local_aws
from tests.tools.scheduler import RunningDag

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]

EXPORTED = ("login", "strict", "extra", "environment", "machine", "custom", "partner")
GOOD, DAMAGED, REFUSED, DENIED, THROTTLED = (f"2026-06-03-0{number}" for number in range(5))
# Airflow encrypts the password and the extra of a connection, but not its login, nor does it mask it in its audit log.
LOGIN = "access key of a login"
LOGINS = {"table connection.login", "table log.extra", "file airflow.db", "file airflow.db-wal"}
ALLOWED = {(LOGIN, place) for place in LOGINS}


@dataclass
class Left:
    """What the runs left, and what became of each."""

    home: list[Place]
    tables: list[Place]
    state: list[Place]
    events: list[Place]
    told: dict[str, str]

    @property
    def pages(self) -> list[Place]:
        """What the delivery page answered."""
        return [Place(name, text.encode()) for name, text in self.told.items() if name.startswith("page ")]


@pytest.fixture(scope="module")
def left(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    home, settings = tmp_path_factory.mktemp("canaries"), tmp_path_factory.mktemp("settings")
    shutil.copy(migrated, home / "airflow.db")
    with local_aws() as aws:
        with canary_stage(home, settings, aws) as stage:
            told = play(stage)
        events = [Place(f"event {number}", json.dumps(each).encode()) for number, each in enumerate(aws.accepted())]
        state = list(objects_in(aws.client("s3"), STATE))
        yield Left(list(files_in(home)), list(sqlite(home / "airflow.db")), state, events, told)


def play(stage: CanaryStage) -> dict[str, str]:
    """Has everything happen, and returns the log of each run's failed tasks, or of all where none failed."""
    told: dict[str, str] = {}
    login = stage.dag("login")
    for number, table in enumerate((rows(), bad_times())):
        for connector in EXPORTED:
            stage.put(connector, GOOD, f"{number}.parquet", table)
            stage.put(connector, GOOD, f"{number}.parquet", table, OPEN)
    # What somebody asks the page for is in the log of requests.
    stage.put("login", GOOD, "asked.parquet", rows(id=[f"asked {row}" for row in range(6)]))
    # Its report has samples, with the ids and the documented fields that are no personal data.
    stage.put("dry", GOOD, "a.parquet", rows(id=[f"dry {row}" for row in range(6)], name=["dry"] * 6))
    told["dry run"] = ended(stage.dag("dry"), "success", hour=GOOD, dry_run=True)
    # Not all at once, as SQLite has one writer.
    for some in (EXPORTED[:4], EXPORTED[4:]):
        runs = {each: stage.dag(each).trigger(hour=GOOD) for each in some}
        told |= {each: ends(stage.dag(each), run, "success") for each, run in runs.items()}
    told["replay"] = ended(login, "success", hour=GOOD, replay=True, reason="a consumer lost them")
    redrive = RunningDag(stage.scheduler, "currents_redrive")
    redrive.switch_on()
    told["redrive"] = ended(redrive, "success", connector="login", hour=GOOD)

    for name in ("refuses", "no_key", "no_source", "no_json"):
        stage.put(name, GOOD, "a.parquet", rows())
        told[name] = (
            fails(stage.dag(name), hour=GOOD) if name != "no_json" else ended(stage.dag(name), "success", hour=GOOD)
        )

    for number, body in enumerate(damaged()):
        stage.put("login", DAMAGED, f"{number}.parquet", body)
    told["damaged"] = ended(login, "failed", hour=DAMAGED)
    for hour in (REFUSED, DENIED, THROTTLED):
        stage.put("login", hour, "a.parquet", rows())
    stage.aws.set_faults(FaultPlan(entry_refusal=1))
    told["refused"] = ended(login, "success", hour=REFUSED)
    stage.aws.set_faults(FaultPlan(denied_detail_type=CUSTOM))
    told["denied"] = fails(login, hour=DENIED)
    stage.aws.set_faults(FaultPlan(throttle=1))
    told["throttled and stopped"] = fails(login, "throttled 100", hour=THROTTLED)
    stage.aws.set_faults(FaultPlan())
    told["settings"] = wait_for(400, lambda: "misread.yaml" in (errors := import_errors(stage)) and errors)
    # Notices are looked at once all else is right.
    for name in ("unknown", "wrong", "misread"):
        (stage.settings / f"{name}.yaml").unlink()
    told["notices"] = wait_for(400, lambda: "notify" in (errors := import_errors(stage)) and errors)
    return told | dict(pages(stage))


def pages(stage: CanaryStage) -> Iterator[tuple[str, str]]:
    """The answers of the delivery page, which asks the commands."""
    day = GOOD[:10]
    of_month = [f"{path}?until={day}" for path in ("", "letters", "trends")]
    of_hour = [f"{path}/{GOOD}" for path in ("hours", "letters")]
    for path in (*of_month, *of_hour, f"hours/{DAMAGED}", "now", f"find?id=asked+0&day={day}&source=true"):
        yield f"page {path.partition('?')[0]}", stage.page(f"c/login/{path}")


def import_errors(stage: CanaryStage) -> str:
    return "\n".join(each["stack_trace"] for each in stage.scheduler.ask("GET", "importErrors")["import_errors"])


def ended(dag: RunningDag, state: str, **conf: Any) -> str:
    return ends(dag, dag.trigger(**conf), state)


def ends(dag: RunningDag, run: str, state: str) -> str:
    assert dag.ended(run, 600) == state, f"{dag.name}: {logs(dag, run)}"
    return logs(dag, run)


def fails(dag: RunningDag, what: str = "", **conf: Any) -> str:
    """Lets a task fail once, or say ``what``, and ends the run."""
    run = dag.trigger(**conf)

    def failed() -> bool:
        return bool({"failed", "up_for_retry"} & set(dag.states(run).values()) or (what and what in logs(dag, run)))

    wait_for(400, failed)
    dag.ask("PATCH", f"/dagRuns/{run}", state="failed")
    return logs(dag, run)


def logs(dag: RunningDag, run: str) -> str:
    tasks = [task for task in dag.tasks(run) if task["try_number"]]
    return "\n".join(dag.log(run, task["task_id"], map_index=task["map_index"]) for task in tasks)


@pytest.mark.parametrize(
    ("run", "what"),
    {
        "dry run": "Nothing was sent. A real run would send",
        "login": "dead-lettered",
        "strict": "dead-lettered",
        "extra": "dead-lettered",
        "environment": "dead-lettered",
        "machine": "dead-lettered",
        "custom": "dead-lettered",
        "partner": "dead-lettered",
        "replay": "dead-lettered",
        "redrive": "could not be sent again",
        "no_json": "dead-lettered",
        "refuses": "check the network, the region and the endpoint",
        "no_key": "has no password",
        "no_source": "NoSuchBucket",
        "damaged": "not a readable Parquet file",
        "refused": "dead-lettered",
        "denied": "AccessDenied",
        "throttled and stopped": "throttled 100",
        "page find": "accepted",
        f"page letters/{GOOD}": "[REDACTED]",
        f"page hours/{DAMAGED}": "not a readable Parquet file",
    }.items(),
)
def test_it_really_happened(left: Left, run: str, what: str) -> None:
    assert what in left.told[run]


def test_faulty_settings_were_told(left: Left) -> None:
    for name in ("unknown.yaml", "wrong.yaml", "misread.yaml"):
        assert name in left.told["settings"]
    assert "SnsNotifier can't be created" in left.told["notices"]


def test_what_may_go_arrived_and_was_parked(left: Left) -> None:
    """Else a search that finds nothing would say nothing."""
    names = {"id", "name", "property"}
    for places in (left.events, left.state):
        assert names <= {name for name, _ in found(list(PLAIN.values()), places)}


def test_what_tasks_hand_on_and_show_was_searched(left: Left) -> None:
    # A table without rows, or by another name, would be searched in vain.
    searched = {each.name for each in left.tables}
    assert {"table xcom.value", "table rendered_task_instance_fields.rendered_fields"} <= searched


def test_no_secret_is_left_anywhere(left: Left) -> None:
    places = [*left.home, *left.tables, *left.state, *left.events, *left.pages]
    assert found(list(SECRETS.values()), places) - ALLOWED == set()


def test_no_secret_is_in_the_database_but_encrypted(left: Left) -> None:
    [password] = [each.content for each in left.tables if each.name == "table connection.password"]
    assert len(password.splitlines()) >= 3
    assert all(line.startswith(b"gAAAA") for line in password.splitlines() if line != b"None")


def test_nothing_that_a_rule_covers_is_left_anywhere(left: Left) -> None:
    places = [*left.home, *left.tables, *left.state, *left.events, *left.pages]
    assert found(list(RULED.values()), places) == set()


def test_what_no_rule_covers_is_in_events_and_in_the_state_alone(left: Left) -> None:
    assert found(list(PLAIN.values()), [*left.home, *left.tables]) == set()


def test_no_temporary_file_is_left_by_an_export(left: Left) -> None:
    assert [each.name for each in left.home if each.name.startswith("file tmp/")] == []
