"""The delivery page in Airflow's UI, on real runs, looked at and clicked through in a browser."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from math import cos, tau
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FrameLocator, Locator, Page, expect

from currents_core.books.account import Counts
from currents_core.books.layout import Layout
from currents_core.books.overview import HourView, TypeView, Week, week_of
from currents_core.books.run_record import RunRecord
from currents_core.hour import format_hour, hour_end, hours_back, parse_hour
from tests.dags.stage import TYPES, Export, Stage
from tests.dags.ui import PICTURES, patient_page
from tests.tools.awaiting import wait_for
from tests.tools.browser import SIZE
from tests.tools.local_aws import local_aws
from tests.tools.sample import make_files
from tests.tools.scheduler import RunningDag, quiet_schedule, scheduler

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1_800)]

FIRST, LAST, DONE, LETTERS, FAILED = hours_back(format_hour(datetime.now(UTC) - timedelta(hours=2)), 5)
TABS = ("Hours", "Trends", "Dead letters", "Find an event", "Now", "Source")


@pytest.fixture(scope="module")
def stage(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("page")
    shutil.copy(migrated, home / "airflow.db")
    with local_aws() as aws:
        aws.client("s3").create_bucket(Bucket="acme-braze")
        aws.client("events").create_event_bus(Name="braze-events")
        connectors = [
            {
                "name": name,
                "source": {"bucket": "acme-braze", "prefix": name},
                "destination": {"kind": "event_bus", "name": "braze-events", "region": "us-east-1"},
                "state": {"bucket": "acme-braze", "prefix": "state"},
                "schedule": quiet_schedule(),
                **more,
            }
            for name, more in (
                ("orders", {}),
                # Its hours take minutes, and a stretch of them needs somebody's approval.
                ("mails", {"budget": {"requests_per_second": 2}, "approval": {"events": 50}}),
            )
        ]
        with scheduler(home, aws, connectors) as running:
            yield Stage(aws, "acme-braze", running)


@pytest.fixture(scope="module")
def export(stage: Stage) -> Export:
    """An hour with a late file that was sent again, one with dead letters, and one with a file that can't be read."""
    export = Export(stage, "orders")
    if PICTURES:
        fill_month(stage)
    export.put(DONE)
    export.put(LETTERS)
    [file] = make_files([LETTERS], TYPES[:1], rows=3, prefix="orders/", first=7)
    columns = file.table.to_pydict() | {"id": [None, None, "kept"]}
    export.put_object(file.key, replace(file, table=file.table.from_pydict(columns, file.table.schema)).body)
    export.put_object(f"orders/event_type={TYPES[0]}/date={FAILED}/damaged.parquet", b"PAR1 and then nothing")
    export.dag.switch_on()
    for hour, state in ((DONE, "success"), (LETTERS, "success"), (FAILED, "failed")):
        assert export.dag.run(hour=hour)[1] == state
    export.put(DONE, first=1, rows=20)
    assert export.dag.run(hour=DONE)[1] == "success"
    assert export.dag.run(hour=DONE, replay=True, reason="the consumer lost it")[1] == "success"
    return export


def fill_month(stage: Stage) -> None:
    """Puts an overview of the month before, so that pictures show what people see after a month."""
    rng, weeks = random.Random(7), dict[str, dict[str, HourView]]()
    for hour in hours_back(FIRST, 30 * 24):
        at = hour_end(hour) + timedelta(minutes=21, seconds=rng.randrange(90))
        types = {}
        for name, share in (*((name, 1.0) for name in TYPES), ("users.messages.email.Send", 3.0)):
            read = int(share * rng.uniform(0.8, 1.2) * (2_600 - 2_200 * cos(tau * int(hour[-2:]) / 24)))
            lag = (at - hour_end(hour)).total_seconds()
            types[name] = TypeView(1, 0, 0, read * 90, lag, Counts(read, read - 7, 7))
        tries = sum(each.counts.sent for each in types.values())
        run = RunRecord(f"scheduled__{hour}", "scheduled", at.isoformat(), tries=tries, used=tries / 60_000)
        weeks.setdefault(week_of(hour), {})[hour] = HourView(hour, 1, "0", at.isoformat(), True, types, runs=(run,))
    for date, hours in weeks.items():
        key = Layout("state/orders/").overview(date)
        stage.aws.client("s3").put_object(Bucket="acme-braze", Key=key, Body=Week(date, hours).as_bytes())


@pytest.fixture(scope="module")
def page(export: Export) -> Iterator[Page]:
    with patient_page(export.stage.scheduler) as page:
        yield page


@pytest.fixture
def shown(page: Page) -> FrameLocator:
    """The page of a connector, as the navigation of Airflow leads to it."""
    page.goto("/plugin/currents")
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="orders", exact=True).click()
    return frame


def scripted(shown: FrameLocator) -> Locator:
    """The page once its script has run: a test is faster than people, and keys and links do less before that."""
    return shown.locator("html[data-theme]")


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.wait_for_timeout(1_500)
        page.screenshot(path=f"{PICTURES}/{name}.png")


def test_hours_are_seen_at_a_glance_and_lead_to_their_accounts(page: Page, shown: FrameLocator) -> None:
    expect(shown.get_by_role("link", name=f"{DONE}: complete")).to_be_visible()
    expect(shown.get_by_role("link", name=f"{FAILED}: failed")).to_be_visible()
    picture(page, "deliveries")
    shown.get_by_role("link", name=f"{DONE}: complete").click()
    expect(shown.get_by_text("the consumer lost it")).to_be_visible()
    # With the late files.
    expect(shown.get_by_text("read 160 = sent ")).to_be_visible()
    expect(shown.get_by_role("cell", name="manual", exact=True)).to_have_count(2)
    picture(page, "deliveries_hour")


def test_event_types_and_days_have_grids_of_their_own(shown: FrameLocator) -> None:
    shown.get_by_role("link", name="event type", exact=True).click()
    expect(shown.get_by_role("rowheader", name=TYPES[1])).to_be_visible()
    shown.get_by_role("link", name=f"{FAILED[:10]}: failed").click()
    expect(shown.get_by_role("link", name=f"{FAILED}: failed").first).to_be_visible()


def test_a_failed_hour_names_its_file_and_leads_out_of_the_frame_to_the_dag(page: Page, shown: FrameLocator) -> None:
    shown.get_by_role("link", name=f"{FAILED}: failed").click()
    expect(shown.get_by_text("damaged.parquet: not a readable")).to_be_visible()
    scripted(shown).get_by_role("link", name="Open the export DAG").click()
    page.wait_for_url("**/dags/currents_export_orders**")
    expect(page.get_by_role("button", name="Trigger", exact=False).first).to_be_visible()


def test_a_run_leads_out_of_the_frame_to_its_own_page(page: Page, shown: FrameLocator) -> None:
    shown.get_by_role("link", name=f"{LETTERS}: complete").click()
    scripted(shown).get_by_role("link", name="manual__").first.click()
    page.wait_for_url("**/dags/currents_export_orders/runs/manual__**")
    expect(page.get_by_text("reconcile").first).to_be_visible()


def test_dead_letters_are_explained_and_shown_without_personal_data(page: Page, shown: FrameLocator) -> None:
    shown.get_by_role("link", name="Dead letters", exact=True).click()
    expect(shown.get_by_text("an empty one, or one that is not text").first).to_be_visible()
    picture(page, "deliveries_letters")
    shown.get_by_role("link", name="See some of them").first.click()
    expect(shown.get_by_text("[REDACTED]").first).to_be_visible()


def test_an_event_is_found_by_its_id_with_its_file_and_its_run(export: Export, page: Page, shown: FrameLocator) -> None:
    wanted = next(iter(export.ids()))
    shown.get_by_role("link", name="Find an event").click()
    shown.get_by_label("Event id").fill(wanted)
    shown.get_by_role("button", name="Find", exact=True).click()
    expect(shown.get_by_role("rowheader", name="accepted", exact=True)).to_be_visible()
    expect(shown.get_by_role("rowheader", name="accepted in a replay")).to_be_visible()
    expect(shown.get_by_role("link", name="manual__")).to_have_count(2)
    picture(page, "deliveries_find")


def test_what_the_books_do_not_know_is_looked_for_in_the_source(shown: FrameLocator) -> None:
    shown.get_by_role("link", name="Find an event").click()
    shown.get_by_label("Event id").fill("nobody's")
    shown.get_by_role("button", name="Find", exact=True).click()
    expect(shown.get_by_text("Neither accepted nor a dead letter")).to_be_visible()
    shown.get_by_label("Look into the source's files of").fill(DONE[:10])
    shown.get_by_role("button", name="Look into the files").click()
    expect(shown.get_by_text("No row with this id.")).to_be_visible()
    expect(shown.get_by_text("files were looked at.")).to_be_visible()


def test_trends_and_the_source_have_pages(page: Page, shown: FrameLocator) -> None:
    shown.get_by_role("link", name="Trends").click()
    expect(shown.get_by_text("Events sent by hour")).to_be_visible()
    picture(page, "deliveries_trends")
    shown.get_by_role("link", name="Source").click()
    shown.get_by_role("button", name="Look").click()
    expect(shown.get_by_text("delivered files of")).to_be_visible()


def test_what_runs_now_is_shown_with_its_progress(stage: Stage, page: Page, export: Export) -> None:
    busy = Export(stage, "mails")
    for hour in (FIRST, LAST):
        busy.put(hour, rows=1_200)
    busy.dag.switch_on()
    busy.dag.start_backfill(*(f"{parse_hour(hour):%Y-%m-%dT%H}" for hour in (FIRST, DONE)))
    wait_for(
        90,
        lambda: any(
            task["state"] == "running"
            for run in busy.dag.runs("backfill")
            for task in busy.dag.shards(run["dag_run_id"])
        ),
    )
    page.goto("/plugin/currents")
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="mails", exact=True).click()
    expect(frame.get_by_role("link", name=f"{FIRST}: delivering")).to_be_visible()
    frame.get_by_role("link", name="Now").click()
    expect(frame.get_by_role("link", name="backfill__").first).to_be_visible()
    expect(frame.get_by_text("rows read").first).to_be_visible()
    picture(page, "deliveries_now")


def test_a_run_shows_its_progress_and_its_hours_on_its_own_page(stage: Stage, page: Page, export: Export) -> None:
    mails = Export(stage, "mails")
    [run, *_] = mails.dag.runs("backfill")
    page.goto(f"/dags/currents_export_mails/runs/{run['dag_run_id']}")
    page.get_by_role("link", name="Deliveries").or_(page.get_by_role("tab", name="Deliveries")).last.click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("rows read").first).to_be_visible()
    picture(page, "deliveries_run")
    frame.get_by_role("link", name=FIRST, exact=True).click()
    expect(frame.get_by_text(f"{FIRST} UTC · delivering")).to_be_visible()


def test_a_redrive_has_a_page_too(export: Export, page: Page) -> None:
    redrives = RunningDag(export.stage.scheduler, "currents_redrive")
    redrives.switch_on()
    # Hours of the other connector would have both slots for minutes.
    mails = Export(export.stage, "mails")
    for each in mails.dag.runs("backfill"):
        mails.dag.ask("PATCH", f"/dagRuns/{each['dag_run_id']}", state="failed")
    run = redrives.trigger(connector="orders", hour=LETTERS)
    assert redrives.ended(run, 600) == "success"
    page.goto(f"/currents/dag/currents_redrive/runs/{run}")
    expect(page.get_by_role("link", name=LETTERS, exact=True)).to_be_visible()
    found = Axe().run(page)
    assert not [each for each in found.response["violations"] if each["impact"] in ("serious", "critical")]


def test_a_stretch_waits_for_a_person_who_approves_it_in_the_ui(stage: Stage, page: Page, export: Export) -> None:
    mails = Export(stage, "mails")
    mails.put(LETTERS, rows=60)
    mails.dag.switch_on()
    run = mails.dag.trigger(hour=LETTERS, until=FAILED)
    wait_for(400, lambda: mails.dag.states(run).get("approve") == "awaiting_input")
    page.goto(f"/dags/currents_export_mails/runs/{run}/tasks/approve/required_actions")
    expect(page.get_by_text("a stretch of hours is sent, about 120 events in 2 files").first).to_be_visible()
    expect(page.get_by_text("The figures are estimates").first).to_be_visible()
    picture(page, "approval")
    page.goto("/currents/c/mails/now")
    expect(page.get_by_text("waits for approval")).to_be_visible()
    page.go_back()
    # Airflow asks again where the process that asked has not ended, for five seconds and more: people read longer.
    page.wait_for_timeout(20_000)
    page.get_by_role("button", name="Approve").click()
    wait_for(400, lambda: mails.dag.states(run)["approve"] == "success")


def test_it_is_a_tab_of_the_dag_as_well(page: Page) -> None:
    page.goto("/dags/currents_export_orders/plugin/currents-deliveries")
    expect(page.frame_locator("iframe").get_by_role("link", name=f"{DONE}: complete")).to_be_visible()


def test_every_link_leads_somewhere(page: Page, export: Export) -> None:
    """Of hours that are all alike, the last one is looked at."""
    alike = re.compile(rf"/hours/(?!{'|'.join((DONE, LETTERS, FAILED, LAST))})|/days/(?!{DONE[:10]})|until=")
    seen: set[str] = set()
    wanted = next(iter(export.ids()))
    left = ["/currents/c/orders/", f"/currents/c/orders/find?id={wanted}", f"/currents/c/orders/hours/{LETTERS}"]
    while left:
        path = left.pop()
        answer = page.request.get(path)
        assert answer.ok, f"{path}: {answer.status}"
        found = {unescape(each) for each in re.findall(r'<a [^>]*href="([^"]*)"', answer.text())} - seen
        seen |= found
        left += [each for each in found if each.startswith("/currents/") and not alike.search(each)]
    assert len([each for each in seen if each.startswith("/currents/")]) > 700
    outside = {each for each in seen if not each.startswith("/currents/")}
    assert any("/runs/" in each for each in outside)
    for each in outside:
        if each.startswith("https://"):
            assert (urlsplit(each).hostname or "").endswith("console.aws.amazon.com"), each
        else:
            # The pages of the UI are all the same file, but not what they show.
            export.stage.scheduler.ask("GET", each.removeprefix("/").replace("/runs/", "/dagRuns/"))


def test_arrows_move_in_the_grid(page: Page, shown: FrameLocator) -> None:
    first = scripted(shown).locator("tbody a.square").first
    first.focus()
    page.keyboard.press("ArrowRight")
    expect(shown.locator("tbody a.square").nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(shown.locator("tbody a.square").nth(25)).to_be_focused()


def test_a_command_is_copied(page: Page, shown: FrameLocator) -> None:
    shown.get_by_role("link", name=f"{FAILED}: failed").click()
    scripted(shown).get_by_role("button", name="Copy").click()
    expect(shown.get_by_role("button", name="Copied")).to_be_visible()


def test_the_page_fits_a_window_of_1280_pixels(page: Page, shown: FrameLocator) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(shown.locator("table.grid")).to_be_visible()
    for tab in TABS:
        shown.get_by_role("link", name=tab, exact=True).click()
        expect(shown.locator("nav a[aria-current]")).to_have_text(tab)
        assert shown.locator("html").evaluate("root => root.scrollWidth <= root.clientWidth"), tab
    page.set_viewport_size({"width": SIZE["width"], "height": SIZE["height"]})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_keeps_people_from_using_it(page: Page, export: Export, theme: str) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    day = f"days/{DONE[:10]}"
    for path in ("", "?by=type", "trends", "letters", "find", "now", "source", day, f"hours/{DONE}", f"hours/{FAILED}"):
        page.goto(f"/currents/c/orders/{path}")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        found = Axe().run(page)
        serious = [each for each in found.response["violations"] if each["impact"] in ("serious", "critical")]
        assert not serious, f"{path}: {[(each['id'], each['nodes'][0]['html']) for each in serious]}"
