from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from currents_airflow.page import runs
from currents_airflow.page.runs import Run
from tests.tools.house import HOUR, connector

EXPORT, REDRIVE, AUTOMATIC = "currents_export_test", "currents_redrive", "currents_redrive_test"


def told(dag: str = EXPORT, state: str = "running", run_type: str = "manual", **fields: Any) -> Run:
    run = SimpleNamespace(
        dag_id=dag,
        run_id="r",
        run_type=run_type,
        state=state,
        start_date=None,
        end_date=None,
        data_interval_start=None,
        **{"partition_key": None, "conf": {"hour": HOUR}} | fields,
    )
    return runs._run(connector(automatic_redrive={"hours": 2}), cast(Any, run), Counter())


def test_a_run_tells_its_hours_and_what_it_does() -> None:
    assert (told().hours, told().kind, told().what, told().delivers) == ((HOUR,), "manual", HOUR, True)
    replay = told(conf={"hour": HOUR, "replay": True, "reason": "lost"})
    assert (replay.kind, replay.what, replay.delivers) == ("replay", f"{HOUR}, sent again: lost", False)
    assert not told(conf={"hour": HOUR, "dry_run": True}).delivers
    assert told(conf=None, partition_key=HOUR, run_type="scheduled").hours == (HOUR,)


def test_the_hours_of_runs_that_wait_for_approval_or_for_their_turn_are_not_under_way() -> None:
    assert runs.hours_under_way([told()]) == {HOUR}
    assert runs.hours_under_way([replace(told(), waits=True), told(state="queued"), told(REDRIVE)]) == set()


def test_redrives_are_runs_too() -> None:
    assert (told(REDRIVE).kind, told(REDRIVE).delivers) == ("redrive", False)
    automatic = told(AUTOMATIC, partition_key=HOUR, conf={})
    assert (automatic.kind, automatic.hours) == ("automatic redrive", ("2026-11-23-07", HOUR))


@pytest.mark.parametrize(
    ("dag", "conf"),
    [
        (REDRIVE, {"hour": HOUR, "max_events": "5"}),
        (EXPORT, {"hour": HOUR, "codes": 5}),
        (EXPORT, {"hour": HOUR, "event_types": [[]]}),
        (AUTOMATIC, {"hour": 5}),
        (EXPORT, {"hour": "9999-12-31-23"}),
        (EXPORT, {}),
        (EXPORT, []),
    ],
)
def test_a_run_that_asks_for_nonsense_is_shown_as_refused(dag: str, conf: Any) -> None:
    found = told(dag, conf=conf)
    assert found.what.startswith("refused: ")
    assert found.hours == ()


def test_runs_of_the_shared_redrive_belong_to_the_connector_that_they_name(monkeypatch: pytest.MonkeyPatch) -> None:
    valid = {name: connector(name=name) for name in ("first", "second")}
    monkeypatch.setattr(runs, "all_connectors", lambda: SimpleNamespace(valid=valid))

    def owners(conf: Any) -> list[str]:
        run = cast(Any, SimpleNamespace(dag_id=REDRIVE, conf=conf))
        return [name for name, each in valid.items() if runs._is_of(each, run, runs._first_of_form)]

    assert owners({"connector": "second"}) == ["second"]
    assert owners({}) == ["first"], "what the form begins with"
    assert owners({"connector": ["second"]}) == []
