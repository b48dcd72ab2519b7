from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_airflow.form_check import FormCheck, refusal
from currents_core.hour import format_hour, parse_hour
from tests.tools.house import HOUR, NOW

EXPORT = "/api/v2/dags/currents_export_orders/dagRuns"
LATER = format_hour(parse_hour(HOUR) + timedelta(hours=1))


def told(**asked: Any) -> str | None:
    return refusal(json.dumps(asked).encode(), NOW)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"hour": LATER, "until": HOUR}, f"`until` ({HOUR}) is before `hour` ({LATER}); swap them"),
        ({"until": HOUR}, "this run has no hour"),
        ({}, "this run has no hour"),
        ({"hour": "2026-01-01-00", "until": HOUR}, "one run takes at most 744"),
        ({"hour": "2999-01-01-00"}, "the hour 2999-01-01-00 has not begun"),
        ({"hour": HOUR, "until": "2026-11-23-10"}, "the hour 2026-11-23-10 has not begun"),
        ({"hour": "2026-11-23-25"}, "'2026-11-23-25' is not a valid hour"),
        ({"hour": HOUR, "replay": True}, "give a `reason` to confirm"),
        ({"hour": HOUR, "reason": "because"}, "`reason` is for replays only"),
        ({"hour": HOUR, "event_types": ["users.[a"]}, "`event_types`: "),
        ({"hour": HOUR, "codes": ["no_["]}, "`codes`: "),
    ],
)
def test_what_does_not_go_together_is_told_with_the_way_out(fields: dict[str, Any], complaint: str) -> None:
    assert complaint in (told(conf=fields) or "")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"hour": LATER}, f"this run already has its hour, {HOUR}; leave `hour` and `until` empty"),
        ({"until": LATER}, f"this run already has its hour, {HOUR}; leave `hour` and `until` empty"),
        ({"replay": True}, "give a `reason` to confirm"),
    ],
)
def test_a_backfill_with_a_slip_makes_no_run(fields: dict[str, Any], complaint: str) -> None:
    window = {"from_date": "2026-11-23T08:00:00Z", "to_date": "2026-11-24T00:00:00.000Z"}
    assert complaint in (told(dag_id="currents_export_orders", dag_run_conf=fields, **window) or "")
    assert told(dag_id="mine", dag_run_conf=fields, **window) is None
    assert told(dag_id="currents_export_orders", dag_run_conf={"dry_run": True}, **window) is None


@pytest.mark.parametrize(
    "asked",
    [
        {"conf": {"hour": HOUR}},
        {"partition_key": HOUR},
        {"conf": {"hour": HOUR, "until": LATER, "replay": True, "reason": "lost", "dry_run": True, "max_events": 7}},
        {"conf": {"hour": HOUR, "event_types": ["all"]}},
    ],
)
def test_what_goes_together_is_not_refused(asked: dict[str, Any]) -> None:
    assert told(**asked) is None


@given(st.recursive(st.none() | st.integers() | st.text(), lambda of: st.lists(of) | st.dictionaries(st.text(), of)))
def test_a_field_of_a_wrong_type_is_told_and_what_is_no_form_is_left_to_airflow(value: Any) -> None:
    assert refusal(b"{", NOW) is None
    told(conf={"hour": value, "until": value})
    assert (
        told(conf={"hour": HOUR, "event_types": 5, "max_events": value}) == "`event_types` is 5; write a list of texts"
    )


def answered(path: str, body: dict[str, Any]) -> httpx.Response:
    """What the check, around an application that answers with what it got, answers to a form."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        got = b""
        while True:
            message = await receive()
            got += message["body"]
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": got})

    async def pieces() -> Any:
        text = json.dumps(body).encode()
        for start in range(0, len(text), 10):
            yield text[start : start + 10]

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(FormCheck(echo)), base_url="http://airflow") as to:
            return await to.post(path, content=pieces())

    return asyncio.run(ask())


@pytest.mark.parametrize("path", [EXPORT, f"/airflow{EXPORT}", "/api/v2/dags/currents_redrive/dagRuns"])
def test_a_run_that_is_refused_never_reaches_airflow(path: str) -> None:
    found = answered(path, {"conf": {"until": HOUR}})
    assert (found.status_code, list(found.json())) == (400, ["detail"])
    allowed = {"conf": {"hour": HOUR}}
    assert answered(path, allowed).json() == allowed


@pytest.mark.parametrize("path", ["/api/v2/dags/mine/dagRuns", f"{EXPORT}/list", "/api/v2/backfills/dry_run"])
def test_other_requests_are_none_of_its_business(path: str) -> None:
    assert answered(path, {"conf": {"until": HOUR}}).status_code == 200
