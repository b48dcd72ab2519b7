from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskAwaitingInput

from currents_airflow.operators.approve import CurrentsApprovalOperator
from currents_core.errors import DeliveryError
from currents_core.finding.discover import Look
from currents_core.setup.run_request import redrive_request, run_request
from tests.tools.house import HOUR, OPEN, House, table

REPLAY = {"replay": True, "reason": "the consumer lost it"}
STRETCH = {"hour": HOUR, "until": "2026-11-23-09"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What people are asked."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **told: found.append(told)
    )
    return found


def run(house: House, request: Any) -> str:
    with DAG("export"):
        operator = CurrentsApprovalOperator(task_id="approve", connector="test", plans=[{"look": "key"}])
    file = house.put(OPEN, "a.parquet", table([str(row) for row in range(40)]))
    look = Look({file.slice: [file]}, {}, [HOUR])
    parts = SimpleNamespace(
        connector=house.connector,
        request=request,
        source=house.source,
        ledger=house.ledger,
        plans=SimpleNamespace(read=lambda _: look.as_json()),
    )
    context = {"task_instance": SimpleNamespace(id="1"), "dag_run": SimpleNamespace(triggering_user_name="ada")}
    return operator.run_step(cast(Any, context), cast(Any, parts))


@pytest.mark.parametrize("fields", [REPLAY, STRETCH, {**REPLAY, **STRETCH}, {**STRETCH, "max_events": 1}])
@pytest.mark.parametrize("approval", [{"events": 39}, {"dollars": 0.00003}, {"events": 1_000, "dollars": 0}])
def test_what_is_large_waits_for_a_person(
    asked: list[dict[str, Any]], fields: dict[str, Any], approval: dict[str, Any]
) -> None:
    house = House(approval=approval)
    with pytest.raises(TaskAwaitingInput) as waiting:
        run(house, run_request(fields, HOUR, house.connector))
    assert waiting.value.kwargs == {"look": "key"}
    [question] = asked
    assert question["options"] == ["Approve", "Reject"]
    assert "about 40 events in 1 file, about $0.00" in question["subject"]
    assert "\ntriggered by ada\n```\n" in question["body"]
    assert "estimates" in question["body"]


@pytest.mark.parametrize(
    ("fields", "approval"),
    [
        (REPLAY, {"events": 40}),
        (STRETCH, {"dollars": 0.00004}),
        (REPLAY, {}),
        ({}, {"events": 0}),
        ({**REPLAY, "dry_run": True}, {"events": 0}),
    ],
)
def test_what_is_small_or_usual_goes_on_at_once(
    asked: list[dict[str, Any]], fields: dict[str, Any], approval: dict[str, Any]
) -> None:
    house = House(approval=approval)
    assert run(house, run_request(fields, HOUR, house.connector)) == "key"
    assert asked == []


def test_scheduled_runs_never_wait(asked: list[dict[str, Any]]) -> None:
    house = House(approval={"events": 0})
    assert run(house, run_request({}, HOUR, house.connector, is_scheduled=True)) == "key"
    assert asked == []


def test_a_redrive_counts_its_letters(asked: list[dict[str, Any]]) -> None:
    house = House(approval={"events": 1})
    house.deliver(house.put(OPEN, "letters.parquet", table(["x", None, None])))
    with pytest.raises(TaskAwaitingInput):
        run(house, redrive_request({}, HOUR))
    assert "dead letters are sent again, about 2 events" in asked[0]["subject"]
    run(house, redrive_request({"codes": ["oversized"]}, HOUR))
    assert len(asked) == 1


def test_whoever_asks_writes_nothing_that_looks_like_the_question(asked: list[dict[str, Any]]) -> None:
    house = House(approval={"events": 1})
    reason = "lost\n```\n# Approved by security\n[see](https://example.com)"
    with pytest.raises(TaskAwaitingInput):
        run(house, run_request({"replay": True, "reason": reason}, HOUR, house.connector))
    lines = asked[0]["body"].splitlines()
    [began, ended] = [number for number, line in enumerate(lines) if line == "```"]
    assert [number for number, line in enumerate(lines) if "security" in line] == [began + 1]
    assert ended == began + 3


def test_where_nobody_knows_the_size_a_person_is_asked(asked: list[dict[str, Any]]) -> None:
    house = House(approval={"events": 10**9})
    house.source.read_part = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(TaskAwaitingInput):
        run(house, run_request(REPLAY, HOUR, house.connector))
    assert "an unknown number of events in 1 file" in asked[0]["subject"]


def answer(option: str) -> str:
    with DAG("export"):
        # Planned again since it was asked.
        operator = CurrentsApprovalOperator(task_id="approve", connector="test", plans=[{"look": "another"}])
    event = {
        "chosen_options": [option],
        "params_input": {},
        "responded_at": SimpleNamespace(isoformat=str),
        "responded_by_user": {"id": "1", "name": "grace"},
    }
    return operator.execute_complete(cast(Any, {}), event, look="key")


def test_an_answer_is_told_with_who_gave_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer("Approve") == "key"
    assert "test: approved by grace" in capsys.readouterr().out
    with pytest.raises(DeliveryError, match="test: rejected by grace; nothing was sent"):
        answer("Reject")


def test_notifiers_tell_that_a_run_waits(asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr("currents_airflow.notices.on_approval", lambda _: [told.append])
    house = House(approval={"events": 0})
    with pytest.raises(TaskAwaitingInput):
        run(house, run_request(REPLAY, HOUR, house.connector))
    assert len(told) == len(asked) == 1
