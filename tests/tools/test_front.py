from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.front import MAX_BYTES, MAX_DEPTH, entry_fault, entry_size, is_json_object, request_fault
from tests.tools.local_aws import LocalAws

ENTRY = {"Source": "s", "DetailType": "t", "Detail": "{}"}
texts = st.text(st.characters(codec="utf-8"))


@given(texts, texts, texts, st.lists(texts), st.booleans())
def test_the_size_is_that_of_the_published_rule(
    source: str, detail_type: str, detail: str, resources: list[str], timed: bool
) -> None:
    entry: dict[str, Any] = {"Source": source, "DetailType": detail_type, "Detail": detail, "Resources": resources}
    expected = len("".join([source, detail_type, detail, *resources]).encode())
    assert entry_size(entry | ({"Time": 0} if timed else {})) == expected + 14 * timed


def test_a_request_holds_one_to_ten_entries() -> None:
    assert request_fault([ENTRY]) is None
    assert request_fault([ENTRY] * 10) is None
    assert request_fault([]) is not None
    assert request_fault([ENTRY] * 11) is not None


def test_a_request_may_fill_the_limit_to_the_last_byte() -> None:
    filler = {**ENTRY, "Detail": "x" * (MAX_BYTES - entry_size(ENTRY) - 2)}
    room = MAX_BYTES - entry_size(filler) - entry_size({**ENTRY, "Detail": ""})
    assert request_fault([filler, {**ENTRY, "Detail": "y" * room}]) is None
    assert request_fault([filler, {**ENTRY, "Detail": "y" * room + "y"}]) is not None
    assert request_fault([filler, {**ENTRY, "Detail": "y" * (room - 1) + "é"}]) is not None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Source": ""}, "InvalidArgument"),
        ({"DetailType": None}, "InvalidArgument"),
        ({"Detail": ""}, "InvalidArgument"),
        ({"Source": "aws.s3"}, "NotAuthorizedForSourceException"),
        ({"DetailType": "t" * 129}, "InvalidArgument"),
        ({"Resources": ["r" * 2049]}, "InvalidArgument"),
        ({"Detail": "[]"}, "MalformedDetail"),
    ],
)
def test_what_the_service_refuses_of_an_entry_is_refused(change: dict[str, Any], code: str) -> None:
    fault = entry_fault({**ENTRY, **change})
    assert fault is not None
    assert fault[0] == code


def test_what_is_just_within_the_limits_is_taken() -> None:
    assert entry_fault({**ENTRY, "DetailType": "t" * 128, "Resources": ["r" * 2048], "Source": "aws"}) is None


def nested(levels: int) -> str:
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("{}", True),
        ('{"a":1.10,"a":null}', True),
        (f'{{"a":{2**63 - 1},"b":{-(2**63)}}}', True),
        (f'{{"a":{2**63}}}', False),
        (f'{{"a":[{-(2**63) - 1}]}}', False),
        ('{"a":NaN}', False),
        ('{"a":-Infinity}', False),
        ('"text"', False),
        ("{", False),
        (nested(MAX_DEPTH), True),
        (nested(MAX_DEPTH + 1), False),
        ("[" * 100_000, False),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_detail_is_a_json_object_within_the_limits(text: str, taken: bool) -> None:
    assert is_json_object(text) is taken


def test_answers_keep_the_order_of_the_entries(aws: LocalAws, bus: str) -> None:
    good = {**ENTRY, "EventBusName": bus}
    answer = aws.client("events").put_events(Entries=[good, {**good, "Detail": "1"}, good])
    assert answer["FailedEntryCount"] == 1
    assert [each.get("ErrorCode") for each in answer["Entries"]] == [None, "MalformedDetail", None]
    assert aws.counts() == {
        "accepted": 2,
        "requests": 1,
        "rejected": 1,
        "lost": 0,
        "by_bus": {bus: 2},
        "by_detail_type": {"t": 2},
    }
    assert aws.accepted(after=1) == [good]


def test_a_request_over_the_limits_is_refused_as_the_service_does(aws: LocalAws, bus: str) -> None:
    with pytest.raises(ClientError, match=r"ValidationException.*length between 1 and 10"):
        aws.client("events").put_events(Entries=[{**ENTRY, "EventBusName": bus}] * 11)
    with pytest.raises(ClientError, match=r"ValidationException.*over the limit"):
        aws.client("events").put_events(Entries=[{**ENTRY, "EventBusName": bus, "Detail": "x" * MAX_BYTES}])


def test_events_for_a_missing_bus_are_taken_and_lost(aws: LocalAws) -> None:
    assert aws.client("events").put_events(Entries=[{**ENTRY, "EventBusName": "none"}])["FailedEntryCount"] == 0
    assert (aws.counts()["lost"], aws.accepted()) == (1, [])


def test_a_rule_delivers_what_the_front_let_through(aws: LocalAws, bus: str) -> None:
    events, sqs = aws.client("events"), aws.client("sqs")
    url = sqs.create_queue(QueueName=bus)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=bus, EventBusName=bus, EventPattern='{"source":["s"]}')
    events.put_targets(Rule=bus, EventBusName=bus, Targets=[{"Id": "q", "Arn": arn}])
    events.put_events(Entries=[{**ENTRY, "EventBusName": bus, "Detail": '{"é":1}'}])
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["detail"] == {"é": 1}


@pytest.mark.parametrize("key", ["plain", "a b", "a=b/c+d", "é/ü", "per%20cent", "x?y&z", "date=1/event_type=a.b.C"])
def test_s3_goes_through_with_every_kind_of_key(aws: LocalAws, bucket: str, key: str) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=bucket, Key=key, Body=b"0123456789")
    assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == 10
    assert s3.get_object(Bucket=bucket, Key=key, Range="bytes=2-4")["Body"].read() == b"234"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_conditional_writes_hold(aws: LocalAws, bucket: str) -> None:
    s3 = aws.client("s3")
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=etag)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"4", IfMatch=etag)
