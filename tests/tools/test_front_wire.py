from __future__ import annotations

import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import cbor2
import orjson
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.front_api import Call, Tokens, page, rest_place, wire_of
from tests.tools.front_rules import Fault
from tests.tools.front_shape import service_model
from tests.tools.front_wire import Refused, member
from tests.tools.local_aws import LocalAws
from tests.tools.model_check import checked_client

NOW = datetime(2026, 11, 23, 9, 0, 0, 500_000, tzinfo=UTC)
REQUEST = cbor2.dumps({"EventBusArn": "a", "Entries": [{"Source": "s", "Time": NOW}]})


@pytest.mark.parametrize("service", ["eventbridgev2", "events", "schemas"])
@given(body=st.binary(max_size=40))
def test_a_body_is_read_or_refused(service: str, body: bytes) -> None:
    with suppress(Refused):
        assert isinstance(wire_of(service).read(body), dict)


@given(st.integers(0, len(REQUEST) - 1), st.integers(0, 255))
def test_a_damaged_body_is_read_or_refused(at: int, byte: int) -> None:
    with suppress(Refused):
        assert isinstance(wire_of("eventbridgev2").read(REQUEST[:at] + bytes([byte]) + REQUEST[at + 1 :]), dict)


def test_times_are_told_in_the_form_of_each_protocol() -> None:
    bodies = {name: wire_of(name).answer({"t": NOW}).body for name in ("eventbridgev2", "events", "schemas")}
    assert cbor2.loads(bodies["eventbridgev2"]) == {"t": NOW}
    assert orjson.loads(bodies["events"]) == {"t": NOW.timestamp()}
    assert orjson.loads(bodies["schemas"]) == {"t": "2026-11-23T09:00:00.500000+00:00"}


def test_a_fault_has_the_status_of_the_services_model_unless_another_is_told() -> None:
    fault = Fault("ThrottlingException", "m")
    assert [wire_of(name).refuse(fault).status_code for name in ("eventbridgev2", "events")] == [429, 400]
    assert wire_of("schemas").refuse(Fault("NotFoundException", "m")).status_code == 404
    assert wire_of("events").refuse(fault, 503).status_code == 503


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"a":2}', b'{"b":{"a":1}}'])
def test_a_member_is_that_of_the_content_alone(body: bytes) -> None:
    assert member(body, "a") == (2 if b'"a":2' in body else None)


def test_a_path_tells_the_operation_and_its_parameters() -> None:
    model = service_model("schemas")
    path = "/v1/registries/name/a%2Fb/schemas/name/c"
    assert rest_place(model, "GET", path, {"schemaVersion": "2", "other": "x"}) == (
        "DescribeSchema",
        {"registryName": "a/b", "schemaName": "c", "schemaVersion": "2"},
    )
    told = {limit: rest_place(model, "GET", "/v1/registries", {"limit": limit})[1] for limit in ("7", "x")}
    assert told == {"7": {"limit": 7}, "x": {"limit": "x"}}
    for method, wrong in (("PATCH", path), ("GET", "/v1/registries/")):
        with pytest.raises(Refused):
            rest_place(model, method, wrong, {})


def call(**parameters: Any) -> Call:
    unused: Any = None
    return Call(parameters, "us-east-1", unused, b"", "InvalidInputException")


@given(st.lists(st.integers(), max_size=20), st.integers(1, 7))
def test_pages_are_the_list(items: list[int], limit: int) -> None:
    found: list[int] = []
    more: dict[str, str] = {"NextToken": "0"}
    while more:
        told, more = page(items, call(Limit=limit, **more), "Limit")
        assert len(told) == limit or not more
        found += told
    assert found == items


def test_a_token_is_one_of_its_region_and_parameters() -> None:
    tokens = Tokens()
    assert tokens.answered(call(ClientToken="t", Name="a")) is None
    assert tokens.note(call(ClientToken="t", Name="a"), {"n": 1}) == {"n": 1}
    assert tokens.answered(call(ClientToken="t", Name="a")) == {"n": 1}
    assert tokens.answered(call(ClientToken="u", Name="a")) is None
    with pytest.raises(Refused):
        tokens.answered(call(ClientToken="t", Name="b"))
    tokens.note(call(Name="a"), {"n": 2})
    assert tokens.answered(call(Name="b")) is None


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (b"{", "SerializationException"),
        (b"[]", "SerializationException"),
        (b"{}", "ValidationException"),
        (b'{"Name":1}', "ValidationException"),
        (b'{"Name":null}', "ValidationException"),
        (b'{"Name":"aws.partner/a/b","Other":1}', "ValidationException"),
    ],
)
def test_content_that_does_not_fit_the_model_is_refused(aws: LocalAws, told: bytes, code: str) -> None:
    events = checked_client(aws, "events", parameter_validation=False)

    def replace(params: dict[str, Any], **_: Any) -> None:
        params["body"] = told

    events.meta.events.register("before-call", replace)
    with pytest.raises(ClientError) as raised:
        events.describe_event_source(Name="n")
    assert raised.value.response["Error"]["Code"] == code


def test_a_bus_of_no_partner_is_motos_whatever_its_tags_say(aws: LocalAws) -> None:
    name, tags = f"bus-{uuid.uuid4()}", [{"Key": "EventSourceName", "Value": json.dumps({"EventSourceName": "n"})}]
    told = aws.client("events").create_event_bus(Name=name, Tags=tags)
    assert told["EventBusArn"].endswith(name)
