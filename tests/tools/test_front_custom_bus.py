from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import cbor2
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.fault_plan import FaultPlan
from tests.tools.front_clock import Clock
from tests.tools.front_dedup import WINDOW_SECONDS, Window
from tests.tools.local_aws import LocalAws
from tests.tools.model_check import checked_client

ENTRY = {"Source": "braze", "DetailType": "t", "Detail": '{"a":1}'}
ROLE = "arn:aws:iam::123456789012:role/deliver"


@pytest.fixture
def v2(aws: LocalAws) -> Any:
    return checked_client(aws, "eventbridgev2")


@pytest.fixture
def arn(aws: LocalAws, v2: Any) -> str:
    """A bus that is ACTIVE."""
    made = v2.create_event_bus(Name=f"bus-{uuid.uuid4()}")
    aws.forward(5)
    return str(made["EventBusArn"])


def entry(number: int, **system: str) -> dict[str, Any]:
    return {**ENTRY, "Detail": json.dumps({"n": number}), **({"SystemMetadata": system} if system else {})}


def put(v2: Any, arn: str, *entries: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return list(v2.put_events(EventBusArn=arn, Entries=list(entries), **more)["Entries"])


def code_of(call: Any, *arguments: Any, **named: Any) -> tuple[str, int]:
    """The code and the status of the error that a call meets."""
    with pytest.raises(ClientError) as raised:
        call(*arguments, **named)
    told = raised.value.response
    return told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"]


def queue_arn(aws: LocalAws) -> tuple[str, str]:
    """The URL and the ARN of a new queue."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=f"q-{uuid.uuid4()}")["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def received(aws: LocalAws, url: str) -> list[dict[str, Any]]:
    """The events in a queue."""
    messages = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def subscribe(v2: Any, arn: str, target: str, name: str = "s", **more: Any) -> str:
    target_told = {"RoleArn": ROLE, "TargetArn": target}
    return str(
        v2.create_subscriber(Name=name, EventBusArn=arn, InvokeConfiguration=target_told, **more)["SubscriberArn"]
    )


# Buses


def test_a_bus_is_creating_for_a_moment_and_deleting_for_another(aws: LocalAws, v2: Any) -> None:
    made = v2.create_event_bus(Name="b", Description="d", StorageConfiguration={"RetentionPeriodInDays": 7})
    arn = made["EventBusArn"]
    assert (made["State"], made["Name"], made["Description"]) == ("CREATING", "b", "d")
    assert code_of(put, v2, arn, ENTRY) == ("InvalidStateException", 409)
    assert code_of(v2.delete_event_bus, EventBusArn=arn) == ("InvalidStateException", 409)
    aws.forward(5)
    told = v2.describe_event_bus(EventBusArn=arn)
    assert (told["State"], told["StorageConfiguration"]) == ("ACTIVE", {"RetentionPeriodInDays": 7})
    assert abs((told["CreationTime"] - datetime.now(UTC)).total_seconds()) < 60
    assert code_of(v2.create_event_bus, Name="b") == ("ResourceAlreadyExistsException", 409)
    v2.delete_event_bus(EventBusArn=arn)
    assert v2.describe_event_bus(EventBusArn=arn)["State"] == "DELETING"
    aws.forward(5)
    assert code_of(v2.describe_event_bus, EventBusArn=arn) == ("ResourceNotFoundException", 404)
    assert code_of(put, v2, arn, ENTRY) == ("ResourceNotFoundException", 404)


def test_a_bus_becomes_active_by_itself(v2: Any) -> None:
    arn = v2.create_event_bus(Name=f"bus-{uuid.uuid4()}")["EventBusArn"]
    v2.get_waiter("event_bus_active").wait(EventBusArn=arn, WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    assert v2.describe_event_bus(EventBusArn=arn)["State"] == "ACTIVE"


def test_the_same_token_creates_no_second_bus(v2: Any) -> None:
    name, token = f"bus-{uuid.uuid4()}", str(uuid.uuid4())
    first, second = (v2.create_event_bus(Name=name, ClientToken=token)["EventBusArn"] for _ in range(2))
    assert first == second
    wrong = code_of(v2.create_event_bus, Name=name, ClientToken=token, Description="other")
    assert wrong == ("IdempotentParameterMismatchException", 409)


def test_buses_are_listed_page_by_page_in_their_region(aws: LocalAws, v2: Any) -> None:
    prefix = f"list-{uuid.uuid4()}-"
    arns = [v2.create_event_bus(Name=f"{prefix}{n}")["EventBusArn"] for n in range(5)]
    pages = list(v2.get_paginator("list_event_buses").paginate(NamePrefix=prefix, PaginationConfig={"PageSize": 2}))
    assert [[bus["EventBusArn"] for bus in page["EventBuses"]] for page in pages] == [arns[:2], arns[2:4], arns[4:]]
    elsewhere = checked_client(aws, "eventbridgev2", "eu-west-1")
    assert elsewhere.list_event_buses(NamePrefix=prefix)["EventBuses"] == []
    assert code_of(elsewhere.describe_event_bus, EventBusArn=arns[0]) == ("ResourceNotFoundException", 404)
    assert code_of(v2.list_event_buses, NextToken="x") == ("InvalidInputException", 400)


def test_what_is_not_modelled_is_refused_by_name(v2: Any, arn: str) -> None:
    with pytest.raises(ClientError, match=r"NotImplemented.*UpdateEventBus"):
        v2.update_event_bus(EventBusArn=arn, Description="d")


# Subscribers


def test_a_subscriber_has_the_events_of_its_bus(aws: LocalAws, v2: Any, arn: str) -> None:
    url, target = queue_arn(aws)
    told = subscribe(v2, arn, target)
    moment = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    results = put(
        v2, arn, {**ENTRY, "Detail": '{"é":"😀"}', "Resources": ["r"], "Time": moment}, {**ENTRY, "Detail": "1"}
    )
    event = {
        "version": "0",
        "id": results[0]["EventId"],
        "detail-type": "t",
        "source": "braze",
        "account": "123456789012",
        "time": "2026-11-23T09:00:00Z",
        "region": "us-east-1",
        "resources": ["r"],
        "detail": {"é": "😀"},
    }
    assert received(aws, url) == [event]
    assert results[1]["ErrorCode"] == "MalformedDetail"
    assert code_of(v2.delete_event_bus, EventBusArn=arn) == ("ResourceInUseException", 409)
    v2.delete_subscriber(SubscriberArn=told)
    put(v2, arn, ENTRY)
    assert received(aws, url) == []
    v2.delete_event_bus(EventBusArn=arn)


def test_a_subscriber_is_described_and_listed(aws: LocalAws, v2: Any, arn: str) -> None:
    _, target = queue_arn(aws)
    told = [subscribe(v2, arn, target, name, State=state) for name, state in (("a", "RUNNING"), ("b", "STOPPED"))]
    found = v2.describe_subscriber(SubscriberArn=told[1])
    assert (found["Type"], found["StartingPosition"], found["State"]) == ("UNORDERED", "LATEST", "STOPPED")
    assert found["InvokeConfiguration"] == {"RoleArn": ROLE, "TargetArn": target}
    listed = v2.list_subscribers(EventBusArn=arn)["Subscribers"]
    assert [(each["SubscriberArn"], each["TargetArn"]) for each in listed] == [(each, target) for each in told]
    assert [each["Name"] for each in v2.list_subscribers(EventBusArn=arn, NamePrefix="b")["Subscribers"]] == ["b"]
    with pytest.raises(ClientError, match="ResourceAlreadyExists"):
        subscribe(v2, arn, target, "a")
    v2.delete_subscriber(SubscriberArn=told[0])
    assert code_of(v2.describe_subscriber, SubscriberArn=told[0]) == ("ResourceNotFoundException", 404)


def test_a_stopped_subscriber_gets_nothing(aws: LocalAws, v2: Any, arn: str) -> None:
    url, target = queue_arn(aws)
    subscribe(v2, arn, target, State="STOPPED")
    put(v2, arn, ENTRY)
    assert received(aws, url) == []


def test_what_no_queue_takes_is_counted(aws: LocalAws, v2: Any, arn: str) -> None:
    subscribe(v2, arn, "arn:aws:sqs:us-east-1:123456789012:missing")
    put(v2, arn, ENTRY, ENTRY)
    assert (aws.counts()["accepted"], aws.counts()["undelivered"]) == (2, 2)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"Type": "FIFO"}, "FIFO"),
        ({"StartingPosition": "POINT_IN_TIME"}, "POINT_IN_TIME"),
        ({"FilterConfiguration": {}}, "FilterConfiguration"),
        ({"RetryPolicy": {}}, "RetryPolicy"),
    ],
)
def test_a_subscriber_that_is_not_modelled_is_refused_by_name(
    aws: LocalAws, v2: Any, arn: str, more: dict[str, Any], named: str
) -> None:
    with pytest.raises(ClientError, match=rf"InvalidInputException.*{named}"):
        subscribe(v2, arn, queue_arn(aws)[1], **more)


@pytest.mark.parametrize("target", ["arn:aws:sns:us-east-1:1:t", "arn:aws:sqs:us-east-1:123456789012:q.fifo"])
def test_only_queues_without_order_are_targets(v2: Any, arn: str, target: str) -> None:
    with pytest.raises(ClientError, match=r"InvalidInputException.*the target"):
        subscribe(v2, arn, target)


# PutEvents


def test_accepted_events_are_in_the_record_under_the_name_of_their_bus(aws: LocalAws, v2: Any, arn: str) -> None:
    results = put(v2, arn, entry(1), {**entry(2), "Source": "aws.s3"}, entry(3))
    assert [each.get("SuccessCode") for each in results] == ["PUBLISHED", None, "PUBLISHED"]
    assert results[1]["ErrorCode"] == "NotAuthorizedForSourceException"
    numbers = [int(results[index]["SequenceNumber"]) for index in (0, 2)]
    assert numbers == [1, 2]
    name = arn.split("/")[1]
    told = {"bus": name, "success_code": "PUBLISHED"}
    assert aws.accepted_lines() == [
        {"number": 1, "entry": entry(1), **told},
        {"number": 2, "entry": entry(3), **told},
    ]
    counts = aws.counts()
    assert (counts["accepted"], counts["rejected"], counts["by_bus"]) == (2, 1, {name: 2})
    assert [each[1:] for each in aws.arrivals()] == [(3, 2)]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Source": "é" * 256, "DetailType": "é" * 128}, None),
        ({"Source": "s" * 257}, "InvalidArgument"),
        ({"Source": ""}, "InvalidArgument"),
        ({"DetailType": "t" * 129}, "InvalidArgument"),
        ({"SystemMetadata": {"DeduplicationId": "d" * 128, "EventGroupId": "g" * 128}}, None),
        ({"SystemMetadata": {"DeduplicationId": "d" * 129}}, "InvalidArgument"),
        ({"SystemMetadata": {"DeduplicationId": " \n"}}, "InvalidArgument"),
        ({"SystemMetadata": {"EventGroupId": "g" * 129}}, "InvalidArgument"),
        ({"Resources": ["r" * 2_048] * 100}, None),
        ({"Resources": ["r"] * 101}, "InvalidArgument"),
        ({"Resources": ["r" * 2_049]}, "InvalidArgument"),
        ({"Detail": "[]"}, "MalformedDetail"),
        ({"Detail": '{"a":NaN}'}, "MalformedDetail"),
        ({"Detail": ""}, "MalformedDetail"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_entry_is_held_to_its_limits(aws: LocalAws, arn: str, change: dict[str, Any], code: str | None) -> None:
    unchecked = checked_client(aws, "eventbridgev2", parameter_validation=False)
    results = put(unchecked, arn, {**ENTRY, **change}, ENTRY)
    assert [each.get("ErrorCode") for each in results] == [code, None]


def test_an_entry_needs_no_detail(aws: LocalAws, v2: Any, arn: str) -> None:
    url, target = queue_arn(aws)
    subscribe(v2, arn, target)
    put(v2, arn, {"Source": "s", "DetailType": "t"})
    assert [event["detail"] for event in received(aws, url)] == [{}]


@pytest.mark.parametrize(("entries", "fits"), [(1, True), (100, True), (0, False), (101, False)])
def test_a_request_holds_one_to_a_hundred_entries(aws: LocalAws, arn: str, entries: int, fits: bool) -> None:
    unchecked = checked_client(aws, "eventbridgev2", parameter_validation=False)
    if fits:
        assert len(put(unchecked, arn, *[ENTRY] * entries)) == entries
    else:
        assert code_of(put, unchecked, arn, *[ENTRY] * entries) == ("InvalidInputException", 400)
        assert aws.counts()["rejected"] == entries


def test_a_request_holds_a_million_bytes(v2: Any, arn: str) -> None:
    rest = len(b"braze" + b"t" + b'{"a":""}')
    full = {**ENTRY, "Detail": '{"a":"' + "x" * (500_000 - rest) + '"}'}
    assert len(put(v2, arn, full, full)) == 2
    over = {**full, "Source": "braze2"}
    assert code_of(put, v2, arn, full, over) == ("InvalidInputException", 400)


@pytest.mark.parametrize(
    "change", [{"Detail": b"{}"}, {"Source": 1}, {"Resources": "r"}, {"Time": "now"}, {"Other": "x"}, {"Source": None}]
)
def test_another_type_than_the_models_costs_the_whole_request(aws: LocalAws, arn: str, change: dict[str, Any]) -> None:
    content = {"EventBusArn": arn, "Entries": [ENTRY, {**ENTRY, **change}]}
    assert told(signed(aws, cbor2.dumps(content))) == (400, "InvalidInputException")
    assert aws.accepted() == []


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", cbor2.dumps([]), cbor2.dumps({}) + b"\x00", b"\x9f" * 10_000])
def test_a_body_that_is_no_request_is_refused(aws: LocalAws, body: bytes) -> None:
    assert told(signed(aws, body)) == (400, "SerializationException")


def test_an_unknown_bus_is_refused_and_not_lost(aws: LocalAws, v2: Any, arn: str) -> None:
    other = arn[:-25] + "0" * 25
    assert code_of(put, v2, other, ENTRY) == ("ResourceNotFoundException", 404)
    assert (aws.counts()["lost"], aws.counts()["rejected"]) == (0, 1)


# De-duplication


def test_what_the_bus_had_within_five_minutes_is_not_published_again(aws: LocalAws, v2: Any, arn: str) -> None:
    url, target = queue_arn(aws)
    subscribe(v2, arn, target)
    sent = [entry(n, DeduplicationId=str(n)) for n in (1, 2, 1)]
    results = put(v2, arn, *sent)
    assert [each["SuccessCode"] for each in results] == ["PUBLISHED", "PUBLISHED", "DEDUPLICATED"]
    assert [results[2][name] for name in ("EventId", "SequenceNumber")] == [
        results[0][name] for name in ("EventId", "SequenceNumber")
    ]
    assert [each["SuccessCode"] for each in put(v2, arn, sent[0])] == ["DEDUPLICATED"]
    assert [event["detail"]["n"] for event in received(aws, url)] == [1, 2]
    assert [line["success_code"] for line in aws.accepted_lines()] == ["PUBLISHED"] * 2 + ["DEDUPLICATED"] * 2
    assert aws.accepted() == sent[:2]
    counts = aws.counts()
    assert (counts["accepted"], counts["deduplicated"], sum(counts["by_bus"].values())) == (2, 2, 2)
    aws.forward(WINDOW_SECONDS)
    assert [each["SuccessCode"] for each in put(v2, arn, sent[0])] == ["PUBLISHED"]


def test_ids_are_those_of_their_bus_and_group(aws: LocalAws, v2: Any, arn: str) -> None:
    other = v2.create_event_bus(Name=f"bus-{uuid.uuid4()}")["EventBusArn"]
    aws.forward(5)
    grouped = [entry(1, DeduplicationId="d", **({"EventGroupId": group} if group else {})) for group in ("", "a", "b")]
    for bus in (arn, other):
        assert [each["SuccessCode"] for each in put(v2, bus, *grouped)] == ["PUBLISHED"] * 3
        assert [each["SuccessCode"] for each in put(v2, bus, *grouped)] == ["DEDUPLICATED"] * 3


def test_without_an_id_nothing_is_left_out_but_by_content_if_so_asked(v2: Any, arn: str) -> None:
    assert [each["SuccessCode"] for each in put(v2, arn, ENTRY, ENTRY)] == ["PUBLISHED"] * 2
    by_content = {"DeduplicationConfiguration": {"DeduplicationType": "CONTENT_BASED"}}
    results = put(v2, arn, entry(1), entry(2), entry(1), **by_content)
    assert [each["SuccessCode"] for each in results] == ["PUBLISHED", "PUBLISHED", "DEDUPLICATED"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 200))))
def test_a_window_begins_with_the_first_of_a_key(steps: list[tuple[str, float]]) -> None:
    clock = Clock(lambda: 0.0)
    window: Window[float] = Window(clock)
    began: dict[str, float] = {}
    for key, seconds in steps:
        clock.forward(seconds)
        now = clock.seconds()
        is_in = key in began and began[key] > now - WINDOW_SECONDS
        assert window.find(key) == (began[key] if is_in else None)
        if not is_in:
            began[key] = now
            window.note(key, now)


# Faults by plan


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (FaultPlan(throttle=1), {("ThrottlingException", 429)}),
        (FaultPlan(server_error=1), {("InternalException", 500), ("ServiceUnavailable", 503)}),
        (FaultPlan(denied_detail_type="t"), {("AccessDeniedException", 403)}),
    ],
)
def test_a_request_fails_by_plan_with_the_status_of_the_service(
    aws: LocalAws, v2: Any, arn: str, plan: FaultPlan, told: set[tuple[str, int]]
) -> None:
    aws.set_faults(plan)
    assert {code_of(put, v2, arn, ENTRY) for _ in range(10)} == told
    assert aws.accepted() == []


@pytest.mark.parametrize(
    ("plan", "then"), [(FaultPlan(cut_before=1), "PUBLISHED"), (FaultPlan(cut_after=1), "DEDUPLICATED")]
)
def test_what_was_cut_off_after_it_was_accepted_is_known_when_it_comes_again(
    aws: LocalAws, v2: Any, arn: str, plan: FaultPlan, then: str
) -> None:
    aws.set_faults(plan)
    with pytest.raises(ConnectionClosedError):
        put(v2, arn, entry(1, DeduplicationId="d"))
    aws.set_faults(FaultPlan())
    assert [each["SuccessCode"] for each in put(v2, arn, entry(1, DeduplicationId="d"))] == [then]
    assert aws.accepted() == [entry(1, DeduplicationId="d")]


def test_entries_fail_by_plan_and_leave_no_id(aws: LocalAws, v2: Any, arn: str) -> None:
    plan = FaultPlan(seed=5, entry_throttle=0.3, entry_failure=0.3)
    aws.set_faults(plan)
    sent = [entry(n, DeduplicationId=str(n)) for n in range(100)]
    results = put(v2, arn, *sent)
    words = {"entry_throttle": "ThrottlingException", "entry_failure": "InternalFailure", None: None}
    assert [each.get("ErrorCode") for each in results] == [words[plan.decide_entry(1, n, "")] for n in range(100)]
    aws.set_faults(FaultPlan())
    again = put(v2, arn, *sent)
    assert all(
        (second["SuccessCode"] == "PUBLISHED") is ("ErrorCode" in first)
        for first, second in zip(results, again, strict=True)
    )
    assert aws.counts()["accepted"] == 100


def test_slow_answers_come_late_and_what_is_held_is_not_delivered(aws: LocalAws, v2: Any, arn: str) -> None:
    url, target = queue_arn(aws)
    subscribe(v2, arn, target)
    aws.set_faults(FaultPlan(slow=1, slow_seconds=0.3, hold=True))
    began = time.monotonic()
    put(v2, arn, ENTRY)
    assert time.monotonic() - began >= 0.3
    assert [line["slow"] for line in aws.accepted_lines()] == [True]
    assert received(aws, url) == []


# Signatures

PATH = "/service/AWSEventsV2/operation/PutEvents"


def signed(
    aws: LocalAws, body: bytes, *, key: str = "testing", secret: str = "testing", service: str = "events", **more: str
) -> httpx.Response:
    """The answer to a request that is signed by hand."""
    headers = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"}
    request = AWSRequest("POST", f"{aws.endpoint}{PATH}", headers=headers, data=body)
    SigV4Auth(Credentials(key, secret), service, "ap-south-1").add_auth(request)
    told = dict(request.headers.items()) | more
    sent = {name: value for name, value in told.items() if value}
    return httpx.post(f"{aws.endpoint}{PATH}", content=body, headers=sent, trust_env=False)


def told(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of an answer."""
    return answer.status_code, cbor2.loads(answer.content)["__type"].rpartition("#")[2]


def test_a_request_is_signed_for_the_service_with_the_keys_of_local_aws(aws: LocalAws) -> None:
    body = cbor2.dumps({"EventBusArn": "x", "Entries": [ENTRY]})
    refused = {
        "signed": told(signed(aws, body)),
        "unsigned": told(signed(aws, body, Authorization="")),
        "another key": told(signed(aws, body, key="other")),
        "another secret": told(signed(aws, body, secret="other")),
        "another service": told(signed(aws, body, service="eventsv2")),
        "another time": told(signed(aws, body, **{"X-Amz-Date": "20000101T000000Z"})),
        "another hash": told(signed(aws, body, **{"x-amz-content-sha256": "0" * 64})),
        "no signature": told(signed(aws, body, Authorization="AWS4-HMAC-SHA256 Credential=testing")),
    }
    assert refused == {
        "signed": (400, "InvalidInputException"),
        "unsigned": (403, "MissingAuthenticationTokenException"),
        "another key": (403, "UnrecognizedClientException"),
        "another secret": (403, "InvalidSignatureException"),
        "another service": (403, "InvalidSignatureException"),
        "another time": (400, "IncompleteSignatureException"),
        "another hash": (403, "InvalidSignatureException"),
        "no signature": (400, "IncompleteSignatureException"),
    }


def test_an_unsigned_request_is_none_that_came(aws: LocalAws) -> None:
    aws.set_faults(FaultPlan(throttle=1))
    assert told(signed(aws, b"", Authorization=""))[0] == 403
    assert aws.counts()["requests"] == 0


@pytest.mark.parametrize("seconds", ["-1", "x", "nan", ""])
def test_the_clock_moves_forward_only(aws: LocalAws, seconds: str) -> None:
    assert httpx.post(f"{aws.endpoint}/_front/clock", content=seconds, trust_env=False).status_code == 400
