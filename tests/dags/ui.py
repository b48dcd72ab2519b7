"""The pages of a DAG in Airflow's UI, and what a person does there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, Response, expect

from tests.tools.browser import SIZE
from tests.tools.browser import page as opened
from tests.tools.scheduler import RunningDag, Scheduler

PICTURES = os.environ.get("CURRENTS_SCREENSHOTS")
SLOW = 180_000  # milliseconds, for a machine that is busy


@contextmanager
def patient_page(scheduler: Scheduler) -> Iterator[Page]:
    """An empty page of an Airflow; what it waits for may take long."""
    with opened(f"http://127.0.0.1:{scheduler.port}") as page:
        # Of the context, so that requests of its own are as patient.
        page.context.set_default_timeout(SLOW)
        expect.set_options(timeout=SLOW)
        yield page


class Ui:
    """The pages of one DAG, and what can be clicked there."""

    def __init__(self, page: Page, dag: RunningDag) -> None:
        self.page = page
        self.dag = dag

    def open(self) -> None:
        """The DAG's page."""
        self.page.goto(f"/dags/{self.dag.name}")

    def picture(self, name: str, height: int = SIZE["height"]) -> None:
        """Keeps what is to be seen, once everything that moves has come to rest."""
        if PICTURES:
            self.page.set_viewport_size({"width": SIZE["width"], "height": height})
            self.page.mouse.move(700, 795)
            self.page.wait_for_timeout(1500)
            self.page.screenshot(path=f"{PICTURES}/{name}.png")
            self.page.set_viewport_size({"width": SIZE["width"], "height": SIZE["height"]})

    def form(self) -> Locator:
        """The opened trigger form."""
        self.open()
        self.page.get_by_role("button", name="Trigger", exact=False).first.click()
        return self.page.get_by_role("dialog")

    def fill(self, **fields: str) -> None:
        """Puts texts into fields of the form."""
        for name, text in fields.items():
            self.page.locator(f"[name=element_{name}]").fill(text)

    def tick(self, name: str) -> None:
        """Ticks a field of the form: the box lies over the input."""
        self.page.locator(f"label:has([name=element_{name}])").click()

    def start(self, form: Locator) -> str:
        """Triggers the run that the form describes, and returns its id."""
        form.get_by_test_id("trigger-dag-submit").click()
        self.page.wait_for_url("**/runs/**")
        return self.page.url.rpartition("/runs/")[2]

    def send(self, form: Locator) -> str:
        """Triggers the run that the form describes, waits for its end and returns its id."""
        run = self.start(form)
        self.dag.ended(run)
        return run

    def ask_to_clear(self) -> Locator:
        """The dialog that clears what the page shows."""
        self.page.get_by_role("button", name="Press shift+c to clear").click()
        return self.page.get_by_role("dialog")

    def confirm(self, dialog: Locator) -> None:
        """Clears; the dialog asks twice, first for what would be cleared."""

        def is_done(answer: Response) -> bool:
            asked = answer.request.post_data_json
            return "/clear" in answer.url and asked is not None and not asked["dry_run"]

        with self.page.expect_response(is_done):
            dialog.get_by_role("button", name="Confirm").click()
        expect(dialog).to_be_hidden()

    def task(self, run: str, task: str) -> None:
        """Clicks a task's square in the grid."""
        self.open()
        self.page.get_by_test_id(f"grid-{run}-{task}").click()

    def log(self, run: str, task: str, line: str) -> None:
        """Clicks a task's square in the grid, which opens its log, and looks for a line."""
        self.task(run, task)
        expect(self.page.get_by_text(line).first).to_be_visible()

    def details(self, links: Mapping[str, str]) -> None:
        """Opens the details of what the page shows, and looks where its links lead: to these ends, by their names."""
        self.page.get_by_role("link", name="Details").click()
        for name, target in links.items():
            link = self.page.get_by_role("link", name=name, exact=True)
            expect(link).to_have_attribute("href", re.compile(f"^https://console.aws.amazon.com/.*{re.escape(target)}"))
