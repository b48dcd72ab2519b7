"""What docs/destinations.md shows, clicked through in a browser; `make screenshots` keeps the pictures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.dags.ui import Ui, patient_page
from tests.tools.awaiting import wait_for
from tests.tools.local_aws import LocalAws, local_aws
from tests.tools.scheduler import RunningDag, Scheduler, scheduler

ACCOUNT = "123456789012"
SOURCE = f"aws.partner/example.com/acme/{ACCOUNT}"
DESTINATIONS: dict[str, dict[str, Any]] = {
    "acme": {"kind": "partner_source", "account": ACCOUNT},
    "live": {"kind": "custom_bus", "name": "braze-live"},
    "orders": {"kind": "event_bus", "name": "braze-events"},
}

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1_800)]


@dataclass
class Connect:
    """Connectors whose destinations are missing, in an Airflow, and its page in a browser."""

    aws: LocalAws
    scheduler: Scheduler
    page: Page

    def ui(self, connector: str) -> Ui:
        """The pages of a connector's connect DAG, found in the list of DAGs."""
        ui = Ui(self.page, RunningDag(self.scheduler, f"currents_connect_{connector}"))
        self.page.goto("/dags")
        self.page.get_by_role("link", name=ui.dag.name).click()
        self.page.wait_for_url(f"**/dags/{ui.dag.name}**")
        return ui


@pytest.fixture(scope="module")
def connect(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connect]:
    home = tmp_path_factory.mktemp("connect")
    shutil.copy(migrated, home / "airflow.db")
    connectors = [
        {
            "name": name,
            "source": {"bucket": "acme-braze", "prefix": "currents"},
            "destination": {"region": "us-east-1", **destination},
            "state": {"bucket": "acme-braze", "prefix": "state"},
            "budget": {"entries_per_second": 500},
        }
        for name, destination in DESTINATIONS.items()
    ]
    registered = {"AIRFLOW__CURRENTS__PARTNER_NAME": "example.com"}
    with local_aws() as aws:
        aws.register_partner()
        with scheduler(home, aws, connectors, environment=registered) as running, patient_page(running) as page:
            yield Connect(aws, running, page)


def test_a_partner_source_is_waited_for_until_its_customer_has_accepted_it(connect: Connect) -> None:
    ui = connect.ui("acme")
    run = ui.start(ui.form())
    wait_for(400, lambda: ui.dag.states(run).get("wait") == "up_for_reschedule")
    ui.page.reload()
    expect(ui.page.get_by_text("Up For Reschedule")).to_be_visible()
    ui.picture("connect_waits")
    ui.log(run, "associate", "leave the permissions as they are")
    for line in (f"In AWS account {ACCOUNT}, region us-east-1, somebody has to:", f"2. choose {SOURCE}, and press"):
        expect(ui.page.get_by_text(line)).to_be_visible()
    page = "https://console.aws.amazon.com/events/home?region=us-east-1#/partners"
    expect(ui.page.get_by_role("link", name=page)).to_have_attribute("href", page)
    ui.picture("connect_steps")
    ui.details({"Partner event sources": "region=us-east-1#/partners"})
    ui.log(run, "wait", f"{SOURCE} is PENDING: EventBridge drops its events until")

    connect.aws.client("events").create_event_bus(Name=SOURCE, EventSourceName=SOURCE)
    # It looks more and more seldom.
    assert ui.dag.ended(run, 600) == "success"
    ui.log(run, "wait", f"{SOURCE} is ACTIVE")
    ui.log(run, "check", "acme: exports can begin; turn the DAG currents_export_acme on")


def test_an_event_bus_is_set_up_with_all_that_the_form_offers(connect: Connect) -> None:
    ui = connect.ui("orders")
    form = ui.form()
    ui.fill(archive_days="30", test_events="users.messages.email.*")
    for name in ("log_events", "discover_schemas", "publish_schemas"):
        ui.tick(name)
    ui.picture("connect_form", height=1_200)
    run = ui.send(form)
    assert ui.dag.states(run) == dict.fromkeys(ui.dag.states(run), "success")
    ui.log(run, "create", "event bus braze-events in us-east-1: created")
    ui.details({"Event bus": "#/eventbus/braze-events"})
    ui.log(run, "archive", "archive braze-events, of 30 days: created")
    ui.log(run, "log", "what it receives is written to log group /aws/events/braze-events")
    ui.details({"Event bus": "#/eventbus/braze-events", "Log group": "log-group/$252Faws$252Fevents$252Fbraze-events"})
    ui.log(run, "discover", "event-bus/braze-events: created")
    ui.log(run, "publish", "orders: schemas: ")
    ui.log(run, "check", "orders: exports can begin; turn the DAG currents_export_orders on")
    ui.picture("connect_check")
    ui.log(run, "test", "users.messages.email.Open: accepted, and arrived in log group /aws/events/braze-events")
    ui.picture("connect_test")


def test_a_custom_bus_shows_how_to_receive_its_events(connect: Connect) -> None:
    ui = connect.ui("live")
    form = ui.form()
    ui.fill(retention_days="30")
    run = ui.send(form)
    assert ui.dag.states(run) == dict.fromkeys(ui.dag.states(run), "success")
    ui.log(run, "wait", "ACTIVE; it keeps events for 30 days")
    ui.log(run, "subscribe", "aws eventsv2 create-subscriber --region us-east-1")
    ui.picture("connect_subscribe")
