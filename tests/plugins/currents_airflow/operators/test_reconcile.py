from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from currents_airflow.operators.reconcile import CurrentsReconcileOperator
from currents_core.books.compact import QUIET_SECONDS, Compaction
from currents_core.books.index import IndexObject
from currents_core.books.layout import Layout
from currents_core.books.manifest import Manifests
from currents_core.books.retention import Retention
from currents_core.errors import DeliveryError, TransientError
from currents_core.finding.discover import Look
from currents_core.setup.run_request import run_request
from tests.tools.house import HOUR, OPEN, House, table

LATER = "2026-11-30-08"


def close(house: House, run_type: str = "scheduled", failed: tuple[str, ...] = (), first_date: str = "") -> Any:
    """What the run of a later hour does once its tasks have ended."""
    operator = CurrentsReconcileOperator(task_id="reconcile", connector="test", plans={})
    layout = Layout()
    parts = SimpleNamespace(
        connector=house.connector,
        request=run_request({}, LATER, house.connector, is_scheduled=run_type == "scheduled"),
        index=IndexObject(house.state, layout),
        state=house.state,
        ledger=house.ledger,
        manifests=Manifests(house.state, layout, house.crew),
        compaction=Compaction(house.state, layout, house.crew),
        retention=Retention(house.state, layout, first_date, 1.0, house.crew) if first_date else None,
    )
    context: Any = {"dag_run": SimpleNamespace(run_type=run_type), "outlet_events": {}}
    return operator.close(context, cast(Any, parts), Look({}, {}, [LATER], ""), failed)


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


def test_a_store_that_fails_meanwhile_fails_no_run(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise TransientError("SlowDown")

    monkeypatch.setattr(house.state, "upload", fail)
    close(house)
    assert not compacted(house)
