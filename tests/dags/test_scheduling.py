"""Runs of a real scheduler, asked for through its REST API as the UI does."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from currents_airflow.policy import BACKFILL_POOL
from currents_aws.s3 import S3Objects
from currents_core.books.index import IndexObject
from currents_core.books.layout import Layout
from currents_core.hour import format_hour
from tests.dags.stage import AFTER, BEFORE, HOUR, TYPES, Export, Stage, set_up
from tests.tools.awaiting import wait_for
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import local_aws
from tests.tools.sample import make_files
from tests.tools.scheduler import RunningDag, scheduler

# Whose hours take minutes.
BUSY = ["busy_a", "busy_b", "busy_c"]
CONNECTORS: dict[str, dict[str, Any]] = {
    **{name: {"budget": {"requests_per_second": 6}} for name in BUSY},
    "asked": {"approval": {"events": 100}},
    "live": {},
    "scheduled": {},
    "manual": {},
    "cleared": {},
    "hole": {},
    "redriven": {},
    "by_itself": {"automatic_redrive": {"codes": ["*"], "tries": 2}},
    "backfilled": {},
    "hashed": {
        "personal_data": {"rules": [{"action": "hash", "fields": ["user_id"]}], "hash_key_conn_id": "hash_key"},
    },
    "no_source": {"source": {"bucket": "no-such-bucket"}},
    "no_state": {"state": {"bucket": "no-such-state"}},
    "no_bus": {"destination": {"kind": "event_bus", "name": "no-such-bus", "region": "us-east-1"}},
    "no_region": {"destination": {"kind": "event_bus", "name": "events", "region": "eu-west-1"}},
}


@pytest.fixture(scope="module")
def stage(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("scheduler")
    shutil.copy(migrated, home / "airflow.db")
    with local_aws() as aws:
        bucket, connectors = set_up(aws, CONNECTORS)
        # Where the clock changes twice a year, hours must stay what they are.
        zone = {"AIRFLOW__CORE__DEFAULT_TIMEZONE": "Europe/Berlin"}
        with scheduler(home, aws, connectors, environment=zone) as running:
            yield Stage(aws, bucket, running)


@pytest.fixture
def export(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Export]:
    """The connector of the test's name, switched on."""
    found = Export(stage, request.param)
    found.dag.switch_on()
    yield found
    stage.aws.set_faults(FaultPlan())


def of(connector: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("export", [connector], indirect=True, ids=[""])


pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]


def test_the_last_hour_runs_by_itself_after_its_delay_and_delivers_what_had_no_run(stage: Stage) -> None:
    export = Export(stage, "scheduled")
    hours = [format_hour(datetime.now(UTC) - timedelta(hours=back)) for back in range(1, 7)]
    events = {hour: export.put(hour) for hour in hours}
    # As if the last run had been four hours ago, and Airflow down since.
    books = IndexObject(S3Objects(stage.aws.client("s3"), stage.bucket), Layout("state/scheduled/"))
    books.change(lambda index: index.with_begun([hours[4]]))
    export.stage.scheduler.client.delete("pools/currents")
    assert export.stage.scheduler.client.get("pools/currents").status_code == 404
    export.dag.switch_on()
    [run] = wait_for(400, lambda: export.dag.runs("scheduled"))
    assert run["partition_key"] in hours[:2]
    assert export.dag.ended(run["dag_run_id"]) == "success"
    assert export.stage.scheduler.ask("GET", "pools/currents")["slots"] == 4, "made by the run that needs it"
    assert set(export.dag.states(run["dag_run_id"]).values()) == {"success"}, "no step is skipped"
    window = [hour for hour in hours[:5] if hour <= run["partition_key"]]
    for hour in window:
        assert export.manifest(hour)["totals"]["sent"] == events[hour], "hours that had no run are delivered as well"
        assert export.manifest(hour)["announced"]
    assert len(export.ids()) == sum(events[hour] for hour in window), "what lies before the first run is backfill"
    log = export.dag.log(run["dag_run_id"], "discover")
    assert f"{window[-2]} to {window[1]} ({len(window) - 2} hours) had no run, and are late" in log


@of("manual")
def test_a_dry_run_a_trial_the_rest_and_a_replay(export: Export) -> None:
    events = export.put(HOUR) + export.put(BEFORE)
    stretch = {"hour": BEFORE, "until": HOUR}

    run, state = export.dag.run(**stretch, dry_run=True)
    assert state == "success"
    assert note(export.dag, run) == f"{BEFORE} to {HOUR}, 2 hours, dry run"
    report = export.dag.log(run, "reconcile")
    assert "Nothing was sent. A real run would send:" in report
    assert f'"events": {events},' in report
    assert export.accepted() == []
    books = [key for key in export.keys("") if HOUR in key or BEFORE in key]
    assert {key.split("/")[2] for key in books} == {"plans"}, "a dry run leaves no trace in the books"

    _, state = export.dag.run(**stretch, max_events=7, event_types=["users.behaviors.*"], pace=50)
    assert state == "success"
    assert len(export.accepted()) == 7
    assert {entry["DetailType"] for entry in export.accepted()} == {TYPES[0]}

    _, state = export.dag.run(**stretch)
    assert state == "success"
    assert set(export.ids().values()) == {1}
    assert len(export.ids()) == events
    manifests = {hour: export.manifest(hour) for hour in (BEFORE, HOUR)}
    assert sum(each["totals"]["sent"] for each in manifests.values()) == events

    _, state = export.dag.run(**stretch, replay=True, reason="the consumer lost them")
    assert state == "success"
    assert set(export.ids().values()) == {2}
    marked = [json.loads(entry["Detail"]).get("currents_export") for entry in export.accepted()]
    assert marked == [None] * events + [{"mode": "replay"}] * events
    assert {hour: export.manifest(hour) for hour in (BEFORE, HOUR)} == manifests
    assert [key for key in export.keys("replays/") if "/manifests/" in key]


@of("manual")
def test_a_form_with_a_slip_is_refused_by_the_form_or_by_the_first_task(export: Export) -> None:
    slips: list[tuple[dict[str, Any], str]] = [
        ({"pace": 0}, "Invalid input for param pace"),
        ({"max_events": 0}, "Invalid input for param max_events"),
        ({"event_types": "all"}, "`event_types` is 'all'; write a list of texts"),
        ({"hour": "yesterday"}, "'yesterday' is not a valid hour"),
        ({"hour": "2999-01-01-00"}, "the hour 2999-01-01-00 has not begun"),
        ({"until": BEFORE}, f"`until` ({BEFORE}) is before `hour` ({HOUR}); swap them"),
        ({"hour": None, "until": HOUR}, "this run has no hour"),
        ({"replay": True}, "a replay sends events again that were sent before; give a `reason`"),
    ]
    before = len(export.dag.runs("manual"))
    for wrong, complaint in slips:
        body = {"logical_date": None, "conf": {"hour": HOUR, **wrong}}
        refused = export.stage.scheduler.client.post(f"dags/{export.dag.name}/dagRuns", json=body)
        assert refused.status_code == 400
        assert complaint in refused.json()["detail"]
    assert len(export.dag.runs("manual")) == before

    # What only the connector's own settings tell.
    run, state = export.dag.run(hour=HOUR, event_types=["users.behaviors.Purchas"])
    assert state == "failed"
    assert export.dag.states(run)["discover"] == "failed"
    assert "did you mean users.behaviors.Purchase?" in export.dag.log(run, "discover")
    assert export.dag.tasks(run)[0]["try_number"] == 1


@of("cleared")
def test_clearing_shards_or_a_whole_run_sends_only_what_did_not_go(export: Export) -> None:
    # Enough small files for a shard of each event type; what is sent of one of them is denied.
    types = ["users.messages.email.Open", "users.messages.email.Click"]
    for number in range(130):
        for file in make_files([HOUR], types, rows=20, prefix="cleared/", first=number):
            export.put_object(file.key, file.body)
    export.stage.aws.set_faults(FaultPlan(denied_detail_type=types[0]))
    run, state = export.dag.run(hour=HOUR)
    assert state == "failed"
    states = {task["rendered_map_index"].split(",")[0]: task for task in export.dag.shards(run)}
    assert {name: task["state"] for name, task in states.items()} == {types[0]: "failed", types[1]: "success"}
    denied = states[types[0]]
    assert denied["rendered_map_index"].startswith(f"{types[0]}, 130 files, ")
    assert denied["try_number"] == 1, "no retry mends what is denied"
    log = export.dag.log(run, "deliver", map_index=denied["map_index"])
    assert "AccessDeniedException: User is not authorized to perform: events:PutEvents; grant the permission" in log
    assert len(export.accepted()) == 130 * 20
    assert not export.manifest(HOUR)["complete"]

    export.stage.aws.set_faults(FaultPlan())
    export.dag.clear(run, ["deliver", denied["map_index"]])
    assert export.dag.ended(run) == "success"
    assert len(export.accepted()) == 260 * 20
    assert {task["map_index"]: task["try_number"] for task in export.dag.shards(run)} == {
        denied["map_index"]: 2,
        1 - denied["map_index"]: 1,
    }

    export.dag.clear(run)
    assert export.dag.ended(run) == "success"
    assert len(export.accepted()) == 260 * 20
    assert set(export.ids().values()) == {1}
    assert export.manifest(HOUR)["totals"]["sent"] == 260 * 20


@of("hole")
def test_a_run_with_a_hole_fails_and_names_it(export: Export) -> None:
    events = export.put(HOUR)
    damaged = f"hole/event_type={TYPES[0]}/date={HOUR}/damaged.parquet"
    export.put_object(damaged, b"PAR1 and then nothing")
    run, state = export.dag.run(hour=HOUR)
    assert state == "failed"
    log = export.dag.log(run, "reconcile")
    assert f"hole: {HOUR} is not complete, 1 open file: s3://{export.stage.bucket}/{damaged}: not a readable" in log
    assert "Traceback" not in log
    assert len(export.ids()) == events, "the others are delivered"
    assert list(export.manifest(HOUR)["files"]["open"]) == [damaged]

    _, following = export.dag.run(hour=AFTER)
    assert following == "success", "an old damaged file does not fail the hours after it"

    [mended] = make_files([HOUR], TYPES[:1], rows=10, prefix="hole/", first=9)
    export.put_object(damaged, mended.body)
    _, state = export.dag.run(hour=HOUR)
    assert state == "success", "nothing more is expected of the version that is no longer there"
    assert len(export.ids()) == events + 10
    assert export.manifest(HOUR)["complete"]


@pytest.mark.parametrize(
    ("export", "complaint"),
    [
        ("no_source", "s3://no-such-bucket/: list failed: NoSuchBucket"),
        ("no_state", "s3://no-such-state/no_state/"),
        ("no_bus", "event bus no-such-bus in us-east-1: lookup failed: ResourceNotFound"),
        ("no_region", "event bus events in eu-west-1: lookup failed: ResourceNotFound"),
    ],
    indirect=["export"],
)
def test_a_wrong_set_up_fails_at_once_in_one_line_that_names_it(export: Export, complaint: str) -> None:
    export.put(HOUR, rows=5)
    run, state = export.dag.run(hour=HOUR)
    assert state == "failed"
    log = export.dag.log(run, "discover")
    assert complaint in log
    assert ";" in log.partition(complaint)[2], "the line says what to do"
    [tried] = [task["try_number"] for task in export.dag.tasks(run) if task["task_id"] == "discover"]
    assert tried == 1, "no retry mends it"
    assert export.accepted() == []


@of("hashed")
def test_personal_data_is_hashed_with_the_password_of_a_connection(export: Export) -> None:
    export.put(HOUR, rows=10)
    run, state = export.dag.run(hour=HOUR)
    assert state == "failed", "without its key nothing may go out"
    log = export.dag.log(run, "deliver", map_index=0)
    assert "the Airflow connection hash_key does not exist or has no password" in log
    assert export.accepted() == []
    export.stage.scheduler.ask(
        "POST", "connections", connection_id="hash_key", conn_type="generic", password="a-secret-key"
    )
    export.dag.clear(run, only_failed=True)
    assert export.dag.ended(run) == "success"
    assert "a-secret-key" not in export.dag.log(run, "deliver", 2, map_index=0)
    users = {json.loads(entry["Detail"])["user"]["user_id"] for entry in export.accepted()}
    assert users
    assert {len(user) for user in users} == {64}


@of("redriven")
def test_dead_letters_are_sent_again_and_only_what_went_leaves_them(export: Export) -> None:
    events = export.put(HOUR)
    [file] = make_files([HOUR], TYPES[:1], rows=4, prefix="redriven/", first=7)
    columns = file.table.to_pydict() | {"id": [None, "a", "b", "c"]}
    export.put_object(file.key, replace(file, table=file.table.from_pydict(columns, file.table.schema)).body)
    export.stage.aws.set_faults(FaultPlan(entry_refusal=0.5))
    _, state = export.dag.run(hour=HOUR)
    assert state == "success"
    refused = events + 3 - len(export.accepted())
    assert export.manifest(HOUR)["totals"]["dead_lettered"] == refused + 1
    assert refused > 10

    export.stage.aws.set_faults(FaultPlan())
    redrive = RunningDag(export.stage.scheduler, "currents_redrive")
    redrive.switch_on()
    asked = {"connector": "redriven", "hour": HOUR}
    run, state = redrive.run(**asked, dry_run=True)
    assert state == "success"
    assert f'"events": {refused},' in redrive.log(run, "conclude")
    assert note(redrive, run) == f"dead letters of redriven: {HOUR}, dry run"
    assert export.manifest(HOUR)["totals"]["dead_lettered"] == refused + 1

    _, state = redrive.run(**asked, codes=["no_*"], event_types=[TYPES[0]])
    assert state == "success"
    assert export.manifest(HOUR)["totals"]["dead_lettered"] == refused + 1, "what has no id can't go"

    run, state = redrive.run(**asked)
    assert state == "success"
    assert redrive.shards(run)[0]["rendered_map_index"].startswith(f"{refused + 1} letters of 2 event types, 3 files, ")
    assert export.manifest(HOUR)["totals"]["dead_lettered"] == 1
    assert export.manifest(HOUR)["complete"]
    assert set(export.ids().values()) == {1}
    assert len(export.ids()) == events + 3
    redrive.clear(run)
    assert redrive.ended(run) == "success"
    assert len(export.accepted()) == events + 3, "a redrive that is cleared sends nothing twice"


@of("by_itself")
def test_dead_letters_that_may_pass_are_sent_again_by_themselves(export: Export) -> None:
    hour = format_hour(datetime.now(UTC) - timedelta(hours=3))
    events = export.put(hour)
    export.stage.aws.set_faults(FaultPlan(entry_refusal=0.5))
    assert export.dag.run(hour=hour)[1] == "success"
    assert len(export.accepted()) < events
    export.stage.aws.set_faults(FaultPlan())
    redrive = RunningDag(export.stage.scheduler, "currents_redrive_by_itself")
    redrive.switch_on()
    [run] = wait_for(400, lambda: redrive.runs("scheduled"))
    assert redrive.ended(run["dag_run_id"]) == "success"
    assert export.manifest(hour)["totals"]["dead_lettered"] == 0
    assert set(export.ids().values()) == {1}
    assert len(export.ids()) == events


def test_backfills_of_many_connectors_leave_live_hours_their_slots(stage: Stage) -> None:
    busy = [Export(stage, name) for name in BUSY]
    numbers = [start_backfill(each) for each in busy]
    start_stretch(busy[0])
    wait_for(400, lambda: delivering(busy, "scheduled") and len(delivering(busy, "running")) == 2)
    running = names(delivering(busy, "running"))
    live = Export(stage, "live")
    for back in (1, 2):
        live.put(format_hour(datetime.now(UTC) - timedelta(hours=back)))
    live.dag.switch_on()
    [run] = wait_for(400, lambda: live.dag.runs("scheduled"))
    [delivery] = wait_for(400, lambda: [each for each in live.dag.shards(run["dag_run_id"]) if each["start_date"]])
    assert names(delivering(busy, "running")) == running, "it waited for none of them to end"
    assert delivery["pool"] == "currents"
    assert {each["pool"] for each in delivering(busy, "scheduled") + delivering(busy, "running")} == {BACKFILL_POOL}
    for each, number in zip(busy, numbers, strict=True):
        stop(each, number)


def start_backfill(export: Export) -> int:
    """Starts a backfill of an hour that takes longer than the test, and returns its number."""
    for file in make_files(["2026-05-10-05"], TYPES[:1], rows=60_000, prefix=f"{export.connector}/"):
        export.put_object(file.key, file.body)
    export.dag.switch_on()
    return export.dag.start_backfill("2026-05-10T05", "2026-05-10T06", reprocess_behavior="none")


def start_stretch(export: Export) -> None:
    """Starts a run by hand over two hours, which has a shard for each."""
    first, last = "2026-05-10-07", "2026-05-10-08"
    for file in make_files([first, last], TYPES[:1], files=130, rows=130, prefix=f"{export.connector}/"):
        export.put_object(file.key, file.body)
    export.dag.trigger(hour=first, until=last)


def stop(export: Export, number: int) -> None:
    """Ends a backfill, and what was run by hand."""
    export.stage.scheduler.ask("PUT", f"backfills/{number}/cancel")
    for run in (*export.dag.runs("backfill"), *export.dag.runs("manual")):
        export.dag.ask("PATCH", f"/dagRuns/{run['dag_run_id']}", state="failed")


def test_every_dag_and_task_says_what_it_does_and_the_dag_belongs_to_the_file_that_asked_for_it(stage: Stage) -> None:
    dags = stage.scheduler.ask("GET", "dags?limit=100")["dags"]
    assert {each["dag_id"] for each in dags} >= {
        "currents_export_manual",
        "currents_redrive",
    }
    for dag in dags:
        # Airflow stops scheduling a DAG whose file it no longer finds in the DAGs folder.
        assert dag["relative_fileloc"] == "currents_export.py"
        told = {dag["dag_id"]: stage.scheduler.ask("GET", f"dags/{dag['dag_id']}/details")["doc_md"]}
        told |= {
            each["task_id"]: each["doc_md"]
            for each in stage.scheduler.ask("GET", f"dags/{dag['dag_id']}/tasks")["tasks"]
        }
        assert all(told.values()), told


@of("backfilled")
def test_hours_are_backfilled_once_whichever_way(export: Export) -> None:
    # The night in which the clock went forward in Europe: 01:00 UTC.
    hours = [f"2026-03-29-0{hour}" for hour in range(4)]
    events = sum(export.put(hour, rows=20) for hour in hours[:3])
    window = ("2026-03-29T00", "2026-03-29T04")
    dry = export.stage.scheduler.ask(
        "POST",
        "backfills/dry_run",
        dag_id=export.dag.name,
        from_date="2026-01-01T00:00:00Z",
        to_date="2026-07-01T00:00:00Z",
        reprocess_behavior="none",
    )
    assert dry["total_entries"] == 181 * 24, "months: one run for each hour, whatever clocks do"

    runs = export.dag.backfill(*window, reprocess_behavior="none", max_active_runs=2)
    assert [run["state"] for run in runs] == ["success"] * 4
    assert sorted(run["partition_key"] for run in runs) == hours
    assert sorted(note(export.dag, run["dag_run_id"]) for run in runs) == [f"backfill: {hour}" for hour in hours]
    labels = [task["rendered_map_index"].partition("files")[0] for task in delivering([export], "success")]
    assert labels == [f"{len(TYPES)} event types, {len(TYPES)} "] * 3 + ["nothing to deliver"], "its own hour"
    assert set(export.ids().values()) == {1}
    assert len(export.ids()) == events
    assert {json.loads(entry["Detail"])["currents_export"]["mode"] for entry in export.accepted()} == {"backfill"}

    again = export.dag.backfill(*window, reprocess_behavior="completed", run_backwards=True, max_active_runs=2)
    assert [run["state"] for run in again] == ["success"] * 4
    assert len(export.accepted()) == events, "what was delivered is not sent again"
    assert again[0]["partition_key"] == hours[3], "backwards"
    assert {task["pool"] for task in delivering([export], "success")} == {BACKFILL_POOL}, "also once cleared"
    log = export.dag.log(again[0]["dag_run_id"], "discover")
    assert "nothing to deliver: every file below" in log

    damaged = f"backfilled/event_type={TYPES[0]}/date={hours[3]}/damaged.parquet"
    export.put_object(damaged, b"PAR1 and then nothing")
    last = (f"{hours[3][:10]}T03", window[1])
    [broken] = export.dag.backfill(*last, reprocess_behavior="completed")
    assert broken["state"] == "failed"
    [mended] = make_files(hours[3:], TYPES[:1], rows=10, prefix="backfilled/", first=9)
    export.delete(damaged)
    export.put_object(mended.key, mended.body)
    [rerun] = export.dag.backfill(*window, reprocess_behavior="failed", max_active_runs=2)
    assert rerun["partition_key"] == hours[3]
    assert len(export.accepted()) == events + 10


def note(dag: RunningDag, run: str) -> str:
    """The note of a run."""
    return str(dag.ask("GET", f"/dagRuns/{run}")["note"])


def names(tasks: Iterable[Any]) -> set[tuple[str, int]]:
    """Their runs and places."""
    return {(each["dag_run_id"], each["map_index"]) for each in tasks}


def delivering(exports: Iterable[Export], state: str) -> list[Any]:
    """The tasks that deliver in backfills and runs by hand, and are in some state."""
    return [
        shard
        for export in exports
        for run in (*export.dag.runs("backfill"), *export.dag.runs("manual"))
        for shard in export.dag.shards(run["dag_run_id"])
        if shard["state"] == state
    ]


@of("asked")
def test_a_large_stretch_waits_for_a_person_and_goes_on_as_they_say(export: Export) -> None:
    events, dag = export.put(BEFORE) + export.put(HOUR), export.dag
    run, state = dag.run(hour=BEFORE)
    assert (state, dag.states(run)["approve"]) == ("success", "success"), "a single hour"
    sent = len(export.accepted())
    export.put(AFTER, first=1, rows=200)

    def waiting(run: str) -> None:
        wait_for(400, lambda: dag.states(run).get("approve") == "awaiting_input")
        # The process that asked ends five seconds later, on a busy machine a few more. Airflow takes an answer before
        # that for one of a try that was lost, and asks again; a person needs longer to read what is asked.
        time.sleep(20)

    def decide(run: str, option: str) -> None:
        dag.ask("PATCH", f"/dagRuns/{run}/taskInstances/approve/-1/hitlDetails", chosen_options=[option])

    run = dag.trigger(hour=HOUR, until=AFTER)
    waiting(run)
    [question] = dag.ask("GET", f"/dagRuns/{run}/hitlDetails")["hitl_details"]
    assert "asked: a stretch of hours is sent, about " in question["subject"]
    assert len(export.accepted()) == sent
    decide(run, "Reject")
    assert dag.ended(run) == "failed"
    assert dag.states(run) == {
        "discover": "success",
        "approve": "failed",
        "deliver": "upstream_failed",
        "reconcile": "failed",
    }
    assert "rejected by" in dag.log(run, "approve")
    assert "the run was not approved, and sent nothing; see approve" in dag.log(run, "reconcile")
    assert len(export.accepted()) == sent

    # Who may not approve may still mark a task as a success.
    dag.ask("PATCH", f"/dagRuns/{run}/taskInstances/approve", new_state="success")
    dag.clear(run, "deliver")
    assert dag.ended(run) == "failed"
    assert "nobody approved of what is planned now" in dag.log(run, "deliver", map_index=0)
    assert len(export.accepted()) == sent

    dag.clear(run, "approve")
    waiting(run)
    decide(run, "Approve")
    assert dag.ended(run) == "success", dag.states(run)
    assert len(export.accepted()) > events
    assert set(export.ids().values()) == {1}
