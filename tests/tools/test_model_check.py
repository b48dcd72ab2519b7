"""What checks the answers of local AWS: a check that lets anything pass would be none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import cbor2
import orjson
import pytest

from tests.tools.front_shape import problems, service_model
from tests.tools.model_check import check_answer

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ARN = "arn:aws:events:us-east-1:123456789012:event-busv2/b/" + "a" * 25
CBOR = {"content-type": "application/cbor"}
BUS = {"EventBusArn": ARN, "Name": "b", "State": "ACTIVE", "CreationTime": NOW}


def told(value: Any, shape: str, service: str = "eventbridgev2") -> list[str]:
    model = service_model(service)
    return [problem.text for problem in problems(value, model.shape_for(shape), model.metadata["protocol"])]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"Other": 1}, "Other is no member of DescribeEventBusResponse"),
        ({"Name": 1}, "Name must be a string, not int"),
        ({"Name": None}, "Name must be a string, not NoneType"),
        (
            {"StorageConfiguration": {"RetentionPeriodInDays": 0}},
            "StorageConfiguration.RetentionPeriodInDays is under its ",
        ),
        ({"Description": "d" * 513}, "Description is over its maximum of 512"),
        ({"EventBusArn": "arn:aws:events"}, "EventBusArn does not match "),
        ({"State": "READY"}, "State is none of CREATING, "),
        ({"CreationTime": 1.0}, "CreationTime must be a timestamp, not float"),
        ({"StorageConfiguration": []}, "StorageConfiguration must be a structure, not list"),
        (
            {"StorageConfiguration": {"RetentionPeriodInDays": True}},
            "StorageConfiguration.RetentionPeriodInDays must be a integer, not bool",
        ),
    ],
    ids=str,
)
def test_each_member_is_looked_at(change: dict[str, Any], problem: str | None) -> None:
    found = told({**BUS, **change}, "DescribeEventBusResponse")
    assert len(found) == (problem is not None)
    assert all(problem and text.startswith(problem) for text in found)


def test_lists_maps_and_what_is_required_are_looked_at() -> None:
    assert told([{"Source": "s", "DetailType": "t"}, {"Source": "s"}], "PutEventsRequestEntryList") == [
        "[1].DetailType is missing"
    ]
    assert told({"k": "v", "l": 1}, "TagMap") == ["[l] must be a string, not int"]
    assert told({"SchemaName": "s", "LastModified": 1}, "SchemaSummary", "schemas") == [
        "LastModified must be a timestamp, not int"
    ]


def answer(content: dict[str, Any], status: int = 200, smithy: str = "rpc-v2-cbor") -> dict[str, Any]:
    body = cbor2.dumps(content, datetime_as_timestamp=True)
    return {"status_code": status, "headers": CBOR | {"smithy-protocol": smithy}, "body": body}


def error(code: str, status: int) -> dict[str, Any]:
    return answer({"__type": f"com.amazonaws#{code}", "Message": "m"}, status)


def test_an_answer_that_fits_passes() -> None:
    check_answer("eventbridgev2", "DescribeEventBus", answer(BUS))
    check_answer("eventbridgev2", "DescribeEventBus", error("ResourceNotFoundException", 404))


@pytest.mark.parametrize(
    "wrong",
    [
        answer({**BUS, "Other": 1}),
        answer(BUS, 201),
        answer(BUS, smithy="other"),
        error("ResourceNotFoundException", 400),
        error("NotFoundException", 404),
        error("InvalidStateException", 409),
        answer({"__type": "ResourceNotFoundException"}, 404),
    ],
)
def test_an_answer_that_does_not_fit_fails(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        check_answer("eventbridgev2", "DescribeEventBus", wrong)


def test_an_operation_that_answers_nothing_must_answer_nothing() -> None:
    def of(content: dict[str, Any]) -> dict[str, Any]:
        return {"status_code": 200, "headers": {}, "body": orjson.dumps(content)}

    check_answer("events", "ActivateEventSource", of({}))
    with pytest.raises(AssertionError):
        check_answer("events", "ActivateEventSource", of({"Name": "n"}))
