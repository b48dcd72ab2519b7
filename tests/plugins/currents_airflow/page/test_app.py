"""The page's routes, with books in memory; who may see them is tried on a real Airflow."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient

from currents_airflow.page import hour_routes, run_routes
from currents_airflow.page.access import permitted, readable
from currents_airflow.page.app import make_app
from currents_airflow.page.books import Books
from currents_airflow.page.runs import Run
from currents_core.books.index import IndexObject
from currents_core.books.layout import Layout, Member
from currents_core.books.manifests import Manifests
from currents_core.books.overviews import Overviews
from currents_core.books.run_record import RunPass, RunRecord
from currents_core.errors import DeliveryError
from currents_core.hour import format_hour, hours_back
from currents_core.ports import Invalid
from tests.tools.house import OPEN, House, table
from tests.tools.manifests import write_manifest

NOW = datetime.now(UTC)
DONE, LETTERS, FAILED, LATE, LIVE = hours_back(format_hour(NOW - timedelta(days=2)), 5)
ROOT = "state/test/"
EXPORT = "currents_export_test"


class Shown:
    """The page of a connector with an hour of each kind, and the requests that it makes to S3."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.house = house = House(state={"bucket": "state", "prefix": "state/"})
        self.asked: list[str] = []
        self.runs = [
            Run(EXPORT, "manual__1", "manual", "running", NOW, None, (LIVE,), LIVE, True, Counter(running=1)),
            Run("currents_redrive", "manual__2", "redrive", "success", NOW, NOW, (LETTERS,), f"{LETTERS}, `no_id`"),
            Run(EXPORT, f"scheduled__{DONE}", "scheduled", "success", NOW, NOW, (LETTERS,), LETTERS, True),
        ]
        monkeypatch.setattr(Books, "store", property(lambda _: house.state))
        for routes in (hour_routes, run_routes):
            monkeypatch.setattr(routes, "live_runs", lambda _: [run for run in self.runs if run.is_on])
        monkeypatch.setattr(run_routes, "one_run", self.one_run)
        house.ledger.layout = Layout(ROOT)
        self.export(DONE, "a.parquet", table(["x", "y"]))
        self.export(LETTERS, "b.parquet", table(["z", None]))
        self.export(FAILED, "c.parquet", b"PAR1 and then nothing")
        books = IndexObject(house.state, Layout(ROOT))
        books.change(lambda index: index.with_begun([DONE, LETTERS, FAILED]))
        app = make_app()
        app.dependency_overrides[permitted] = lambda: {"test": house.connector}
        app.dependency_overrides[readable] = lambda: {"test"}
        self.client = TestClient(app, follow_redirects=False)

    def one_run(self, connectors: Any, dag: str, run_id: str) -> tuple[Any, Run] | None:
        found = [(each, run) for each in connectors for run in self.runs if (run.dag, run.run) == (dag, run_id)]
        return found[0] if found else None

    def export(self, hour: str, name: str, body: Any) -> None:
        house = self.house
        with suppress(DeliveryError):
            house.deliver(house.put(OPEN, name, body, hour))
        run = RunRecord(f"scheduled__{hour}", "scheduled", NOW.isoformat(timespec="seconds"), tries=3, used=0.25)
        write_manifest(Manifests(house.state, Layout(ROOT)), hour, house.ledger, NOW, run=RunPass(run))
        Overviews(house.state, Layout(ROOT)).catch_up(hour, hour)

    def get(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    return Shown(monkeypatch)


def test_hours_are_shown_by_their_states(shown: Shown) -> None:
    text = shown.get("/c/test/")
    for hour, state in (
        (DONE, "complete"),
        (LETTERS, "complete"),
        (FAILED, "failed"),
        (LATE, "late"),
        (LIVE, "delivering"),
    ):
        assert f'aria-label="{hour}: {state}' in text
    assert text.count('class="square') >= 31 * 24


def test_what_needs_attention_is_named_first_the_newest_before_older_ones(shown: Shown) -> None:
    text = shown.get("/c/test/").partition("Needs attention</h2>")[2].partition("</section>")[0]
    assert text.index(LATE) < text.index(FAILED)
    assert DONE not in text


def test_a_month_is_shown_with_few_requests(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    read = shown.house.state.read_version

    def noting(key: str) -> Any:
        asked.append(key)
        return read(key)

    monkeypatch.setattr(shown.house.state, "read_version", noting)
    shown.get("/c/test/")
    assert len(asked) <= 7
    assert {key.removeprefix(ROOT).partition("/")[0] for key in asked} == {"overview", "index.json"}


def test_event_types_and_days_have_grids_of_their_own(shown: Shown) -> None:
    text = shown.get("/c/test/?by=type")
    assert f'<th scope="row">{OPEN}</th>' in text
    assert f'aria-label="{FAILED[:10]}: failed' in text
    text = shown.get(f"/c/test/days/{DONE[:10]}")
    assert f'aria-label="{DONE}: complete, 2 sent"' in text


def test_an_hour_has_its_account_its_open_files_its_runs_and_what_to_do_next(shown: Shown) -> None:
    text = shown.get(f"/c/test/hours/{LETTERS}")
    assert "read 2 = sent 1 + duplicate 0 + filtered 0 + dead-lettered 1" in text
    assert f"runs/scheduled__{LETTERS}" in text
    text = shown.get(f"/c/test/hours/{FAILED}")
    assert "c.parquet: not a readable" in text
    assert f"airflow dags trigger currents_export_test --conf &#39;{{&#34;hour&#34;: &#34;{FAILED}&#34;}}&#39;" in text
    assert "No run has accounted for this hour." in shown.get(f"/c/test/hours/{LATE}")
    assert "manual__1" in shown.get(f"/c/test/hours/{LIVE}")


def test_who_sent_an_hour_again_and_why_is_told(shown: Shown) -> None:
    run = RunRecord("manual__again", "replay", NOW.isoformat(), "ada", "the consumer lost it")
    Overviews(shown.house.state, Layout(ROOT)).note_replay([DONE], RunPass(run))
    text = shown.get(f"/c/test/hours/{DONE}")
    assert "<td>ada</td><td>the consumer lost it</td>" in text
    assert "square complete replayed" in shown.get("/c/test/")


def test_trends_have_bars_for_hours_a_line_for_each_day_and_both_ways_to_pay(shown: Shown) -> None:
    text = shown.get("/c/test/trends")
    events, sizes, lags = re.findall(r'<path d="([^"]+)"/>', text)
    # Of the hours that have some.
    assert (events.count("M"), sizes.count("M"), lags.count("M")) == (2, 2, 2)
    assert text.count('<th scope="row">') == 31
    assert "Classic bus" in text
    assert "Custom bus" in text
    assert "25 %" in text, "the budget"


def test_dead_letters_are_explained_and_lead_to_a_redrive_that_can_help(shown: Shown) -> None:
    text = shown.get("/c/test/letters")
    assert "<code>no_id</code> <span" in text
    assert "The row has no <code>id</code>, an empty one, or one that is not text." in text
    assert "Nothing can send it" in text
    assert "currents_redrive" not in text
    shown.house.target.answer = lambda _: Invalid("AccessDeniedException", "no")
    shown.export(DONE, "refused.parquet", table(["refused"]))
    text = shown.get("/c/test/letters")
    assert "airflow dags trigger currents_redrive" in text
    assert 'href="/dags/currents_redrive" data-leave' in text


def test_runs_that_are_on_are_shown(shown: Shown) -> None:
    assert "manual__1" in shown.get("/c/test/now")
    shown.runs.clear()
    assert "No run is on." in shown.get("/c/test/now")


def test_a_run_shows_how_far_it_has_got_and_its_hours(shown: Shown) -> None:
    senders = [(EXPORT, "manual__1"), (EXPORT, "manual__another"), ("currents_redrive", "manual__1")]
    for number, (dag, run) in enumerate(senders):
        key = Layout(ROOT).member(Member(f"token{number}", 0.1, 0.1), 1)
        shown.house.state.write(key, f"{dag} {run} deliver[0] try 1\n{run} of {dag}: 12 of 40 files".encode())
    text = shown.get(f"/dag/{EXPORT}/runs/manual__1")
    assert f"manual__1 of {EXPORT}: 12 of 40 files" in text
    assert text.count("12 of 40 files") == 1, "its own"
    assert f'<a href="/c/test/hours/{LIVE}">{LIVE}</a>' in text
    assert "not accounted for" in text
    assert "Deliver tasks: 1 running." in text
    assert "data-refresh" in text


def test_a_run_that_has_ended_shows_all_hours_that_it_was_at(shown: Shown) -> None:
    text = shown.get(f"/dag/{EXPORT}/runs/scheduled__{DONE}")
    assert f"/hours/{LETTERS}" in text
    assert f"/hours/{DONE}" in text, "whose late files it delivered"
    assert f"/hours/{FAILED}" not in text
    assert "data-refresh" not in text


def test_a_redrive_is_in_the_accounts_and_a_replay_is_not(shown: Shown) -> None:
    text = shown.get("/dag/currents_redrive/runs/manual__2")
    assert f"{LETTERS}, `no_id`" in text
    assert "tell of this run" not in text
    shown.runs = [replace(shown.runs[0], kind="replay", is_accounted=False, delivers=False)]
    assert "tell of this run, which is a replay" in shown.get(f"/dag/{EXPORT}/runs/manual__1")


def test_another_month_leads_to_its_own_trends_and_dead_letters_and_to_the_months_beside_it(shown: Shown) -> None:
    day = NOW.date() - timedelta(days=40)
    for path in ("", "trends", "letters"):
        text = shown.get(f"/c/test/{path}?until={day}")
        links = re.findall(r'href="/c/test/((?:trends|letters)?\?[^"]*)"', text)
        assert {f"trends?until={day}", f"letters?until={day}"} <= {*links}
        for beside in (day - timedelta(days=31), day + timedelta(days=31)):
            assert [each for each in links if each.startswith(f"{path}?") and f"until={beside}" in each]
        assert f'until={day + timedelta(days=31)}"' not in shown.get(f"/c/test/{path}?until={NOW.date()}")


def test_warnings_are_shown_in_an_hour_without_notes_and_the_first_of_very_many_files(shown: Shown) -> None:
    key = Layout(ROOT).manifest(DONE)
    manifest = orjson.loads(shown.house.state.contents[key])
    manifest["warnings"] = ["personal data: email found nothing"]
    manifest["files"]["open"] = {str(number): f"file {number:,}" for number in range(50_000)}
    shown.house.state.write(key, orjson.dumps(manifest))
    text = shown.get(f"/c/test/hours/{DONE}")
    assert "email found nothing" in text
    assert "file 99<" in text
    assert "and 49,900 more" in text
    assert len(text) < 50_000


def test_what_a_run_of_another_connector_does_is_not_shown(shown: Shown) -> None:
    shown.client.app.dependency_overrides[permitted] = lambda: {}  # type: ignore[attr-defined]
    text = shown.get(f"/dag/{EXPORT}/runs/manual__1", 404)
    assert text == shown.get(f"/dag/{EXPORT}/runs/manual__none", 404)
    assert LIVE not in text


def test_the_entrance_leads_to_connectors_and_dags_to_theirs(shown: Shown) -> None:
    assert shown.client.get("/").headers["location"] == "/c/test/"
    assert shown.client.get("/dag/currents_export_test").headers["location"] == "/c/test/"
    assert shown.client.get("/dag/currents_connect_test").headers["location"] == "/c/test/"
    assert '<a href="/c/test/">test</a>' in shown.get("/dag/something_else")
    shown.client.app.dependency_overrides[permitted] = lambda: {}  # type: ignore[attr-defined]
    assert "There is no connector that you may see." in shown.get("/")


@pytest.mark.parametrize("path", ["/c/other/", "/c/test/hours/2026-13-01-00", "/nowhere", "/docs", "/openapi.json"])
def test_what_is_not_there_is_404_in_words(shown: Shown, path: str) -> None:
    assert "Not here" in shown.get(path, 404)


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nothing_is_ever_changed(shown: Shown, method: str) -> None:
    before = dict(shown.house.state.contents)
    for path in ("/c/test/", f"/c/test/hours/{DONE}", "/c/test/letters"):
        assert getattr(shown.client, method)(path).status_code == 405
    assert shown.house.state.contents == before


def test_every_answer_forbids_what_it_does_not_need(shown: Shown) -> None:
    for path in ("/c/test/", "/nowhere", "/"):
        headers = shown.client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert "style=" not in shown.get("/c/test/")
    assert "<script>" not in shown.get("/c/test/")


def test_what_files_say_is_escaped(shown: Shown) -> None:
    hostile = "<script>alert(1)</script>"
    manifest = {
        "complete": True,
        "event_types": {hostile: {"read": 1, "sent": 1, "duplicate": 0, "filtered": 0, "dead_lettered": 0}},
        "notes": {hostile: 1},
        "drift": {hostile: [hostile]},
        "dead_letters": {hostile: {hostile: 1}},
        "runs": [{"run": hostile, "kind": hostile, "at": hostile, "by": hostile, "reason": hostile}],
        "warnings": [hostile],
        "files": {"delivered": 1, "open": {hostile: hostile}},
        "totals": {},
        "seq": 9,
        "written_at": NOW.isoformat(),
    }
    shown.house.state.write(Layout(ROOT).manifest(DONE), orjson.dumps(manifest))
    Overviews(shown.house.state, Layout(ROOT)).catch_up(DONE, DONE)
    for path in (
        "/c/test/",
        "/c/test/?by=type",
        f"/c/test/hours/{DONE}",
        f"/c/test/days/{DONE[:10]}",
        "/c/test/letters",
    ):
        assert hostile not in shown.get(path)


@pytest.mark.parametrize("body", [b'{"half": ', b"{}"])
def test_an_hour_whose_manifest_is_damaged_has_its_account_all_the_same(shown: Shown, body: bytes) -> None:
    shown.house.state.write(Layout(ROOT).manifest(DONE), body)
    assert "read 2 = sent 2" in shown.get(f"/c/test/hours/{DONE}")


def test_a_fault_of_the_page_is_told_without_its_reason(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: Any) -> None:
        raise ValueError("a value of a record")

    monkeypatch.setattr(Overviews, "between", fail)
    answer = TestClient(shown.client.app, raise_server_exceptions=False).get("/c/test/")
    assert answer.status_code == 500
    assert "Please report it" in answer.text
    assert "a value of a record" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_books_that_can_not_be_read_are_told_in_their_own_words(shown: Shown) -> None:
    shown.house.state.write(Layout(ROOT).index(), b"{}")
    assert "this state is damaged" in shown.get("/c/test/", 502)


@pytest.mark.parametrize("until", ["", "tomorrow", "9999-01-01", "2020-02-30"])
def test_a_day_that_is_none_is_today(shown: Shown, until: str) -> None:
    before, text = datetime.now(UTC).date(), shown.get(f"/c/test/?until={until}")
    assert any(f"up to {day}" in text for day in (before, datetime.now(UTC).date()))
