from __future__ import annotations

from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import DAG

from currents_airflow.operators.reconcile import CurrentsReconcileOperator
from currents_core.books.compact import QUIET_SECONDS, Compaction
from currents_core.books.index import IndexObject
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.manifests import Manifests
from currents_core.books.overview import HourView
from currents_core.books.overviews import Overviews
from currents_core.books.retention import Retention
from currents_core.errors import DeliveryError, TransientError
from currents_core.file_key import by_slice
from currents_core.finding.discover import Look
from currents_core.finding.plan import KEPT_SECONDS, Plans
from currents_core.setup.run_request import run_request
from tests.tools.house import HOUR, OPEN, House, table

LATER = "2026-11-30-08"
NEXT = "2026-11-30-09"


def close(
    house: House,
    run_type: str = "scheduled",
    failed: tuple[str, ...] = (),
    first_date: str = "",
    look: Look | None = None,
    *,
    hour: str = LATER,
    **asked: Any,
) -> Any:
    """What the run of a later hour, which asked for something, does once its tasks have ended."""
    with DAG("export"):
        operator = CurrentsReconcileOperator(task_id="reconcile", connector="test", plans={})
    layout = Layout()
    parts = SimpleNamespace(
        connector=house.connector,
        request=run_request(asked, hour, house.connector, is_scheduled=run_type == "scheduled"),
        index=IndexObject(house.state, layout),
        state=house.state,
        ledger=house.ledger,
        source=house.source,
        manifests=Manifests(house.state, layout, house.crew),
        overviews=Overviews(house.state, layout, house.crew),
        plans=Plans(house.state, layout),
        compaction=Compaction(house.state, layout, house.crew),
        retention=Retention(house.state, layout, first_date, 1.0, house.crew) if first_date else None,
    )
    run = SimpleNamespace(run_type=run_type, run_id=f"{run_type}__1", triggering_user_name="ada", clear_number=0)
    told = [
        {
            "rows": {},
            "sending": {"requests": 2, "tries": 20, "throttled": 5, "began": 10.0, "ended": 12.0, "cleared": 0},
        },
        None,
    ]
    context: Any = {
        "dag_run": run,
        "ti": SimpleNamespace(xcom_pull=lambda **_: told),
        "outlet_events": {},
    }
    return operator.close(context, cast(Any, parts), look or Look({}, {}, [hour]), failed)


@pytest.fixture
def house() -> House:
    """A house with the state of an hour that left the window."""
    found = House()
    found.deliver(found.put(OPEN, "a.parquet", table(["x"])))
    found.crew.slept += 2 * QUIET_SECONDS
    return found


def compacted(house: House) -> bool:
    return Layout().day_index(HOUR[:10]) in house.state.contents


@pytest.mark.parametrize(("run_type", "does"), [("scheduled", True), ("manual", False), ("backfill", False)])
def test_a_scheduled_run_compacts_a_day_that_left_the_window(house: House, run_type: str, does: bool) -> None:
    close(house, run_type)
    assert compacted(house) == does


def test_a_run_that_fails_does_so_all_the_same(house: House) -> None:
    with pytest.raises(DeliveryError, match="deliver failed"):
        close(house, failed=("deliver",))
    assert compacted(house)


def test_a_day_that_is_older_than_the_retention_ends(house: House) -> None:
    close(house, first_date="2026-11-24")
    assert [key for key in house.state.contents if HOUR[:10] in key] == []


@pytest.mark.parametrize(("hour", "left"), [("2026-11-30-00", 0), ("2026-11-30-01", 1)])
def test_the_first_run_of_a_day_removes_old_plans(house: House, hour: str, left: int) -> None:
    Plans(house.state, Layout()).write(HOUR, {"of": "a run that nobody clears any more"})
    house.crew.slept += 2 * KEPT_SECONDS
    close(house, hour=hour)
    assert sum(key.startswith("plans/") for key in house.state.contents) == left


def test_a_store_that_fails_meanwhile_fails_no_run(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise TransientError("SlowDown")

    monkeypatch.setattr(house.state, "upload", fail)
    close(house)
    assert not compacted(house)


@pytest.mark.parametrize("fault", [TransientError("SlowDown"), OSError(ENOSPC, "No space left on device")])
def test_tidying_up_that_fails_fails_no_run_and_keeps_no_other_day(
    house: House, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(Compaction, "compact_next", fail)
    close(house, first_date="2026-11-24")
    assert [key for key in house.state.contents if HOUR[:10] in key] == []


def of_hour(house: House) -> HourView:
    return Overviews(house.state, Layout(), house.crew).between(HOUR, HOUR)[HOUR]


LOOK = Look({}, {}, [HOUR])


def test_what_the_run_did_is_kept_with_the_hour(house: House) -> None:
    requests, _ = house.connector.rates
    assert requests
    close(house, look=LOOK)
    view = of_hour(house)
    [run] = view.runs
    assert (run.run, run.kind, run.by, run.tries, run.throttled) == ("scheduled__1", "scheduled", "ada", 20, 5)
    assert run.used == pytest.approx(1 / requests, abs=1e-4), "of so many a second"
    assert view.delivered_by(OPEN) == run
    assert view.delivered_by("another") is None
    assert view.counts.sent == 1


def test_a_later_run_that_delivers_nothing_is_not_the_one_that_delivered(house: House) -> None:
    close(house, look=LOOK)
    first = of_hour(house).delivered_by(OPEN)
    house.crew.slept += 60
    close(house, "manual", look=LOOK)
    assert of_hour(house).delivered_by(OPEN) == first
    assert [run.kind for run in of_hour(house).runs] == ["scheduled", "manual"]


def test_a_replay_is_noted_with_who_asked_for_it_and_why(house: House) -> None:
    close(house, "manual", hour=LATER, replay=True, reason="the consumer lost it")
    [replay] = Overviews(house.state, Layout(), house.crew).between(LATER, LATER)[LATER].replays
    assert (replay.kind, replay.by, replay.reason) == ("replay", "ada", "the consumer lost it")


def test_an_overview_that_can_not_be_written_fails_no_run(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise TransientError("SlowDown")

    monkeypatch.setattr(Overviews, "catch_up", fail)
    close(house, look=LOOK)
    assert "the overview is brought up to date by a later run: SlowDown" in capsys.readouterr().out


def alerting(told: Path) -> House:
    """A house with more dead letters than its threshold, whose alerts go to a file."""
    notice = {
        "notifier": "tests.dags.notifier.FileNotifier",
        "arguments": {"path": str(told), "text": "{{ alert }}"},
    }
    house = House(notify={"on_alert": [notice], "dead_letter_rate": 0.01}, lookback_hours=200)
    house.deliver(house.put(OPEN, "a.parquet", table([*map(str, range(150)), None, None])))
    return house


def test_alerts_are_told_although_the_next_run_has_begun(tmp_path: Path) -> None:
    house = alerting(tmp_path / "told")
    books = IndexObject(house.state, Layout())
    books.change(lambda index: index.with_begun([LATER, NEXT]))
    books.change(lambda index: index.with_accounted({NEXT: 1}, {}, []))
    close(house, look=LOOK)
    assert not (tmp_path / "told").exists(), "a newer run has told all"
    books.change(lambda index: replace(index, accounted={}))
    close(house, look=LOOK)
    assert "became dead letters" in (tmp_path / "told").read_text()


def test_alerts_are_told_by_scheduled_runs_alone(tmp_path: Path) -> None:
    house = alerting(tmp_path / "told")
    close(house, "manual", look=LOOK)
    assert not (tmp_path / "told").exists()
    close(house, look=LOOK)
    told = (tmp_path / "told").read_text()
    assert told == f"{HOUR}: 1.3% of 152 rows became dead letters (2 no_id), more than 1.0%\n"
    close(house, look=LOOK)
    assert (tmp_path / "told").read_text() == told, "once"


def test_a_run_that_is_cleared_late_accounts_for_its_own_hour_without_past_ones_that_have_ended() -> None:
    own = "2026-11-26-08"
    house = House(lookback_hours=72)
    old, mine = house.put(OPEN, "a", table(["x"])), house.put(OPEN, "b", table(["y"]), hour=own)
    # What was found then, and what was delivered of it since.
    look = Look(by_slice([old, mine]), {old.slice: "1", mine.slice: "2"}, [HOUR, own], untried=[old])
    house.ledger = Ledger(house.state, Layout(), crew=house.crew, first_date="2026-11-24")
    house.deliver(mine)
    close(house, look=look, hour=own)
    manifests = Manifests(house.state, Layout(), house.crew)
    assert manifests.read(HOUR) is None
    assert (manifests.read(own) or {})["complete"]


def test_an_hour_that_was_exported_early_by_hand_keeps_no_scheduled_run_from_telling(tmp_path: Path) -> None:
    house = alerting(tmp_path / "told")
    IndexObject(house.state, Layout()).change(lambda index: index.with_begun([LATER]))
    close(house, "manual", hour=NEXT)
    close(house, look=LOOK)
    assert (tmp_path / "told").exists()
