"""What docs/operating.md shows, clicked through in a browser; `make screenshots` keeps the pictures."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from playwright.sync_api import Page, expect

from currents_core.hour import format_hour
from tests.dags.stage import TYPES, Export, Stage
from tests.dags.ui import Ui, patient_page
from tests.tools.awaiting import wait_for
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import local_aws
from tests.tools.sample import make_files
from tests.tools.scheduler import RunningDag, quiet_schedule, scheduler

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1_800)]


@pytest.fixture(scope="module")
def export(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Export]:
    home = tmp_path_factory.mktemp("browser")
    shutil.copy(migrated, home / "airflow.db")
    with local_aws() as aws:
        aws.client("s3").create_bucket(Bucket="acme-braze")
        aws.client("events").create_event_bus(Name="braze-events")
        connector = {
            "name": "orders",
            "source": {"bucket": "acme-braze", "prefix": "orders"},
            "destination": {"kind": "event_bus", "name": "braze-events", "region": "us-east-1"},
            "state": {"bucket": "acme-braze", "prefix": "state"},
            "schedule": quiet_schedule(),
            "lookback_hours": 0,
        }
        with scheduler(home, aws, [connector]) as running:
            yield Export(Stage(aws, "acme-braze", running), "orders")


@pytest.fixture(scope="module")
def page(export: Export) -> Iterator[Page]:
    with patient_page(export.stage.scheduler) as page:
        yield page


@pytest.fixture
def ui(export: Export, page: Page) -> Iterator[Ui]:
    yield Ui(page, export.dag)
    export.stage.aws.set_faults(FaultPlan())


def put_shards(export: Export, hour: str, event_types: Iterable[str]) -> None:
    """Puts five files of 20 heavy rows for each of two event types: as many bytes as make a shard of each type."""
    for file in make_files([hour], event_types, files=5, rows=20, prefix=f"{export.connector}/"):
        notes = pa.array([random.randbytes(45_000).hex() for _ in range(20)])
        export.put_object(file.key, replace(file, table=file.table.append_column("note", notes)).body)


def test_the_schedule_is_switched_on(ui: Ui, export: Export) -> None:
    # The hour that is due: which of the two it is depends on the minute.
    for back in (1, 2):
        put_shards(export, format_hour(datetime.now(UTC) - timedelta(hours=back)), TYPES)
    ui.open()
    ui.page.locator("label:has(input[type=checkbox])").first.click()
    run, *_ = wait_for(400, lambda: export.dag.runs("scheduled"))
    assert export.dag.ended(run["dag_run_id"]) == "success"
    ui.open()
    ui.page.locator(f"a[href$='{run['dag_run_id']}/']").click()
    for event_type in TYPES:
        expect(ui.page.get_by_role("link", name=f"{event_type}, 5 files")).to_be_visible()
    ui.picture("schedule")
    assert export.manifest(run["partition_key"])["complete"]


def test_a_dry_run_says_what_sending_would_come_to(ui: Ui, export: Export) -> None:
    hour = "2026-06-01-08"
    events = export.put(hour)
    form = ui.form()
    ui.fill(hour="yesterday")
    form.get_by_test_id("trigger-dag-submit").click()
    expect(form.get_by_text("'yesterday' is not a valid hour; write YYYY-MM-DD-HH in UTC")).to_be_visible()

    form = ui.form()
    ui.fill(hour=hour)
    ui.picture("trigger")
    form.get_by_role("button", name="How").click()
    ui.tick("dry_run")
    run = ui.send(form)
    ui.task(run, "reconcile")
    told = ui.page.get_by_text(f'"events": {events},')
    expect(told).to_be_visible()
    told.hover()
    ui.page.mouse.wheel(0, -5000)
    ui.picture("dry_run")
    assert not [entry for entry in export.accepted() if f"/date={hour}/" in entry["Resources"][0]]


def test_a_failed_shard_is_cleared_from_the_grid(ui: Ui, export: Export) -> None:
    hour, types = "2026-06-02-08", ["users.messages.email.Open", "users.messages.email.Click"]
    put_shards(export, hour, types)
    # Of one event type, everything is denied.
    export.stage.aws.set_faults(FaultPlan(denied_detail_type=types[0]))
    form = ui.form()
    ui.fill(hour=hour)
    run = ui.send(form)
    ui.page.reload()
    expect(ui.page.get_by_role("link", name=f"{types[0]}, 5 files")).to_be_visible()
    # The grid beside it asks for the runs on its own.
    expect(ui.page.get_by_test_id(f"grid-{run}-deliver")).to_be_visible()
    expect(ui.page.get_by_text(hour, exact=True)).to_be_visible()
    ui.picture("failed")
    ui.task(run, "deliver")
    shard = ui.page.get_by_role("link", name=f"{types[0]}, 5 files")
    shard.click()
    why = "event bus braze-events in us-east-1: send failed: AccessDeniedException"
    expect(ui.page.get_by_text(f"ERROR - {why}").first).to_be_visible()
    ui.page.get_by_text("SetupError: ").click()
    ui.picture("why")

    ui.page.get_by_role("link", name="Details").click()
    for name, target in {"Event bus": "#/eventbus/braze-events", "Source files": "s3/buckets/acme-braze"}.items():
        link = ui.page.get_by_role("link", name=name)
        expect(link).to_have_attribute("href", re.compile(f"^https://console.aws.amazon.com/.*{target}"))
    ui.picture("links")

    export.stage.aws.set_faults(FaultPlan())
    dialog = ui.ask_to_clear()
    expect(dialog.get_by_text("Affected Tasks: 2")).to_be_visible()
    ui.picture("clear")
    ui.confirm(dialog)
    assert export.dag.ended(run) == "success"
    assert {task["try_number"] for task in export.dag.shards(run)} == {1, 2}
    assert export.manifest(hour)["totals"]["sent"] == 200

    ui.page.goto(f"/dags/{export.dag.name}/runs/{run}")
    ui.confirm(ui.ask_to_clear())
    assert export.dag.ended(run) == "success"
    assert [shard["rendered_map_index"] for shard in export.dag.shards(run)] == ["nothing to deliver"]
    assert len(export.accepted()) == len(export.ids()), "nothing was sent twice"

    ui.task(run, "reconcile")
    ui.page.get_by_role("link", name="Details").click()
    link = ui.page.get_by_role("link", name="Hour manifest")
    expect(link).to_have_attribute("href", re.compile(f"/s3/object/acme-braze.*date%3D{hour}.json$"))


def test_hours_are_backfilled(ui: Ui, export: Export) -> None:
    hours = ["2026-06-03-00", "2026-06-03-01"]
    events = sum(export.put(hour) for hour in hours)
    before = Counter(export.ids())
    form = ui.form()
    form.get_by_text("Backfill", exact=True).click()
    for number, moment in enumerate(("00:00", "02:00")):
        form.get_by_test_id("datetime-input").nth(number).click()
        ui.page.get_by_placeholder("YYYY/MM/DD").last.fill("2026/06/03")
        ui.page.get_by_placeholder("HH:mm").last.fill(moment)
        ui.page.get_by_placeholder("HH:mm").last.press("Escape")
    expect(form.get_by_text("2 runs will be triggered")).to_be_visible()
    ui.picture("backfill")
    form.get_by_role("button", name="Run Backfill").click()
    runs = wait_for(400, lambda: export.dag.runs("backfill"))
    assert [run["partition_key"] for run in runs] == hours
    for run in runs:
        assert export.dag.ended(run["dag_run_id"]) == "success"
    assert (export.ids() - before).total() == events


def test_what_was_delivered_is_sent_again_on_purpose(ui: Ui, export: Export) -> None:
    hour = "2026-06-04-08"
    events = export.put(hour)
    export.dag.run(hour=hour)
    form = ui.form()
    ui.fill(hour=hour)
    form.get_by_role("button", name="Replay").click()
    ui.tick("replay")
    ui.fill(reason="The consumer lost its table")
    ui.picture("replay")
    ui.send(form)
    sent = [json.loads(entry["Detail"]) for entry in export.accepted()[-events:]]
    assert {detail["currents_export"]["mode"] for detail in sent} == {"replay"}


def test_dead_letters_are_sent_again(ui: Ui, export: Export) -> None:
    hour = "2026-06-05-08"
    events = export.put(hour)
    export.stage.aws.set_faults(FaultPlan(entry_refusal=0.5))
    export.dag.run(hour=hour)
    assert export.manifest(hour)["totals"]["dead_lettered"] > 10
    export.stage.aws.set_faults(FaultPlan())

    ui = Ui(ui.page, RunningDag(export.stage.scheduler, "currents_redrive"))
    form = ui.form()
    ui.fill(hour=hour)
    ui.picture("redrive")
    form.get_by_role("button", name="What").click()
    ui.fill(codes="Malformed*", event_types="users.*")
    run = ui.send(form)
    expect(ui.page.get_by_role("link", name=re.compile(f"letters of {len(TYPES)} event types"))).to_be_visible()
    assert ui.dag.ended(run) == "success"
    totals = export.manifest(hour)["totals"]
    assert (totals["sent"], totals["dead_lettered"]) == (events, 0)
