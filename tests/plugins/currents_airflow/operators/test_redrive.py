from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import DAG

from currents_airflow.operators import redrive
from currents_airflow.operators.base import CurrentsOperator
from currents_airflow.operators.redrive import CurrentsConcludeRedriveOperator, CurrentsSelectLettersOperator
from currents_core.books.index import IndexObject
from currents_core.books.layout import Layout
from currents_core.books.manifests import Manifests
from currents_core.books.overviews import Overviews
from currents_core.errors import SetupError
from currents_core.finding.discover import Look
from currents_core.finding.plan import Plans
from currents_core.setup.run_request import automatic_redrive_request, redrive_request
from tests.tools.house import HOUR, NOW, OPEN, House, table
from tests.tools.manifests import write_manifest

LATER = "2026-11-23-11"


@pytest.fixture(autouse=True)
def _pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redrive, "require_pools", lambda _: None)
    monkeypatch.setattr(CurrentsOperator, "check", lambda *_: None)


def selected(house: House, **settings: Any) -> list[str]:
    """The labels of what an automatic redrive of a later hour would send."""
    house.connector = house.connector.model_copy(
        update={"automatic_redrive": House(automatic_redrive=settings).connector.automatic_redrive}
    )
    assert house.connector.automatic_redrive
    overviews = Overviews(house.state, Layout(), house.crew)
    write_manifest(Manifests(house.state, Layout(), house.crew), HOUR, house.ledger, NOW)
    overviews.catch_up(HOUR, HOUR)
    parts = SimpleNamespace(
        connector=house.connector,
        request=automatic_redrive_request(house.connector.automatic_redrive, LATER),
        ledger=house.ledger,
        overviews=overviews,
        index=IndexObject(house.state, Layout()),
        plans=Plans(house.state, Layout()),
        addresses=dict,
    )
    operator = CurrentsSelectLettersOperator(task_id="select", connector="test", kind="automatic redrive")
    return [plan["label"] for plan in operator.run_step(cast(Any, {}), cast(Any, parts))]


@pytest.fixture
def house() -> House:
    """A house with two dead letters of an hour."""
    found = House()
    found.deliver(found.put(OPEN, "a.parquet", table(["x", None, None])))
    return found


NOTHING = ["nothing to deliver"]


def test_only_codes_that_are_named_are_sent_again(house: House) -> None:
    [label] = selected(house, codes=["no_*"])
    assert label.startswith("2 letters of ")
    assert selected(house) == NOTHING, "a missing id does not come back by itself"


def test_each_letter_is_sent_again_a_few_times(house: House) -> None:
    house.redrive()
    assert selected(house, codes=["no_*"], tries=2) != NOTHING
    house.redrive()
    assert selected(house, codes=["no_*"], tries=2) == NOTHING


def test_hours_that_are_too_old_are_left(house: House) -> None:
    assert selected(house, codes=["no_*"], hours=4) != NOTHING
    assert selected(house, codes=["no_*"], hours=3) == NOTHING


def test_hours_without_letters_are_not_looked_into(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, heads = list[str](), house.ledger.heads
    selected(house)

    def noting(hour: str) -> Any:
        asked.append(hour)
        return heads(hour)

    monkeypatch.setattr(house.ledger, "heads", noting)
    selected(house, codes=["no_*"], hours=24)
    assert set(asked) == {HOUR}


def test_a_connector_that_has_it_no_more_says_so(house: House) -> None:
    operator = CurrentsSelectLettersOperator(task_id="select", connector="test", kind="automatic redrive")
    context: Any = {"dag_run": SimpleNamespace(partition_key=LATER, run_type="scheduled"), "params": {}}
    with pytest.raises(SetupError, match="automatic_redrive was removed"):
        operator._request(context, house.connector)


def conclude(house: House) -> None:
    """Ends a redrive of the hour."""
    layout = Layout()
    parts = SimpleNamespace(
        connector=house.connector,
        request=redrive_request({}, HOUR),
        ledger=house.ledger,
        source=house.source,
        manifests=Manifests(house.state, layout, house.crew),
        overviews=Overviews(house.state, layout, house.crew),
        addresses=lambda **_: {},
    )
    run = SimpleNamespace(run_type="manual", run_id="manual__1", triggering_user_name="ada", clear_number=0)
    context: Any = {"dag_run": run, "ti": SimpleNamespace(xcom_pull=lambda **_: [])}
    with DAG("redrive"):
        operator = CurrentsConcludeRedriveOperator(task_id="conclude", connector="test", plans={})
    operator.close(context, cast(Any, parts), Look({}, {}, [HOUR]), ())


def test_an_hour_whose_export_has_not_ended_gets_no_manifest_by_a_redrive(house: House) -> None:
    conclude(house)
    manifests = Manifests(house.state, Layout(), house.crew)
    assert manifests.read(HOUR) is None
    write_manifest(manifests, HOUR, house.ledger, NOW)
    conclude(house)
    told = manifests.read(HOUR)
    assert told
    assert [each["run"] for each in told["runs"]] == ["manual__1"]
