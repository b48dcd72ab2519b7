from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import boto3
import httpx
import pytest
import uvicorn
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.awaiting import wait_for
from tests.tools.fault_plan import FaultPlan
from tests.tools.front import make_front
from tests.tools.front_rules import (
    Limits,
    bus_name,
    check_entry,
    check_request,
    entry_size,
    is_detail,
    read_entries,
)
from tests.tools.local_aws import LocalAws

ENTRY = {"Source": "s", "DetailType": "t", "Detail": "{}"}
LIMITS = Limits()
texts = st.text(st.characters(codec="utf-8"))


def nested(levels: int, core: str = "{}") -> str:
    """A Detail with ``core`` at its heart, of as many levels."""
    return '{"a":' * (levels - 1) + core + "}" * (levels - 1)


def of_size(size: int, last: str = "x") -> dict[str, Any]:
    """An entry of as many bytes, whose Detail ends with ``last``."""
    empty = {**ENTRY, "Detail": json.dumps({"a": last}, ensure_ascii=False)}
    return {**ENTRY, "Detail": empty["Detail"].replace('"a": "', '"a": "' + "x" * (size - entry_size(empty)))}


# The rules of an entry and of a request


@given(texts, texts, texts, st.none() | st.lists(st.none() | texts), st.sampled_from([{}, {"Time": None}, {"Time": 0}]))
def test_the_size_is_that_of_the_published_rule(
    source: str, detail_type: str, detail: str, resources: list[str | None] | None, time: dict[str, Any]
) -> None:
    entry = {"Source": source, "DetailType": detail_type, "Detail": detail, "Resources": resources, **time}
    expected = len("".join([source, detail_type, detail, *filter(None, resources or [])]).encode())
    assert entry_size(entry) == expected + (14 if time.get("Time") is not None else 0)


def test_a_request_holds_one_to_ten_entries() -> None:
    faults = [check_request([ENTRY] * count, LIMITS) for count in (1, 10, 0, 11)]
    assert faults[:2] == [None, None]
    assert [fault.code for fault in faults[2:] if fault] == ["ValidationException"] * 2


@pytest.mark.parametrize("last", ["x", "é", "😀"])
def test_a_request_may_fill_the_limit_to_the_last_byte(last: str) -> None:
    first = of_size(600_000)
    assert check_request([first, of_size(400_000, last)], LIMITS) is None
    assert check_request([first, of_size(400_001, last)], LIMITS) is not None


def test_an_entry_has_a_limit_of_its_own() -> None:
    limits = Limits(max_entry_bytes=1_000)
    assert check_request([of_size(1_000)] * 10, limits) is None
    fault = check_request([ENTRY, of_size(1_001)], limits)
    assert fault
    assert fault.code == "ValidationException"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, None),
        *(({name: empty}, "InvalidArgument") for name in ENTRY for empty in ("", None)),
        ({"Source": "aws"}, None),
        ({"Source": "aws-like"}, None),
        ({"Source": "aws.s3"}, "NotAuthorizedForSourceException"),
        ({"DetailType": "é" * 128}, None),
        ({"DetailType": "é" * 129}, "InvalidArgument"),
        ({"Resources": ["r", None, "é" * 2_048]}, None),
        ({"Resources": ["r", "é" * 2_049]}, "InvalidArgument"),
        ({"Resources": None}, None),
        ({"Detail": "[]"}, "MalformedDetail"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_entry_is_judged_as_the_service_does(change: dict[str, Any], code: str | None) -> None:
    fault = check_entry({**ENTRY, **change}, LIMITS)
    assert (fault.code if fault else None) == code


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("{}", True),
        (' {"a":1.10,"a":null} ', True),
        (f'{{"a":{2**63 - 1},"b":{-(2**63)}}}', True),
        (f'{{"a":{2**63}}}', False),
        (f'{{"a":[{-(2**63) - 1}]}}', False),
        (f'{{"a":{2**64}}}', False),
        ('{"a":' + "9" * 300 + "}", False),
        (f'{{"a":{2**64}.5,"b":{2**64}e3,"c":1.{2**64},"d":1e-{2**64}}}', True),
        (f'{{"{2**64}":"say \\"{2**64}\\" [[["}}', True),
        ('{"a":NaN}', False),
        ('{"a":-Infinity}', False),
        ('{"a":1e999}', False),
        ('"text"', False),
        ("1", False),
        ("null", False),
        ("{", False),
        ("{} {}", False),
        (nested(1_000), True),
        (nested(1_000, "1"), True),
        (nested(1_001), False),
        (nested(1_000, '[{"a":"]]]]}}}}"}]'), False),
        ('{"a":[' + ",".join(["[]"] * 2_000) + "]}", True),
        ('{"a":"' + "[{" * 2_000 + '"}', True),
        ("[" * 100_000, False),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_detail_is_a_json_object_within_the_limits(text: str, taken: bool) -> None:
    assert is_detail(text, LIMITS) is taken


@pytest.mark.parametrize("offset", range(19))
def test_an_integer_is_out_of_range_wherever_it_stands(offset: int) -> None:
    spaces = " " * offset
    assert is_detail(f'{{{spaces}"a":{2**63 - 1}}}', LIMITS)
    assert not is_detail(f'{{{spaces}"a":{2**63}}}', LIMITS)


def reference(text: str, levels: int) -> bool:
    """Slow and obvious: every integer as the parser meets it, every level as a walk finds it."""
    integers: list[int] = []
    constants: list[str] = []
    value = json.loads(text, parse_int=lambda digits: integers.append(int(digits)), parse_constant=constants.append)

    def depth(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    fits = all(-(2**63) <= each < 2**63 for each in integers)
    return isinstance(value, dict) and not constants and fits and depth(value) <= levels


scalars = st.none() | st.booleans() | texts | st.floats() | st.integers(-(2**65), 2**65)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20)


@given(st.dictionaries(texts, values) | values, st.integers(1, 4), st.booleans())
def test_a_detail_is_judged_as_by_an_obvious_reference(value: Any, levels: int, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    assert is_detail(text, Limits(max_levels=levels)) is reference(text, levels)


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "1", '{"Entries":{}}']
    + [f'{{"Entries":[{entry}]}}' for entry in ("1", '{"Source":1}', '{"Resources":"r"}', '{"Resources":[1]}')],
)
def test_a_body_of_another_shape_is_told_apart(body: str) -> None:
    with pytest.raises(ValueError, match=r"PutEvents|line 1|empty"):
        read_entries(body.encode())


def test_no_entries_are_no_entries() -> None:
    assert [read_entries(body) for body in (b"{}", b'{"Entries":null}', b'{"Entries":[]}')] == [[], [], []]


def test_a_bus_is_named_by_name_or_arn_or_not_at_all() -> None:
    names = [None, "b", "arn:aws:events:us-east-1:123456789012:event-bus/b"]
    assert [bus_name({"EventBusName": name}) for name in names] == ["default", "b", "b"]


# PutEvents over real sockets


def put(aws: LocalAws, *entries: dict[str, Any], bus: str | None = None) -> dict[str, Any]:
    named = [{"EventBusName": bus, **entry} if bus else entry for entry in entries]
    return dict(aws.client("events").put_events(Entries=named))


def codes(answer: dict[str, Any]) -> list[str | None]:
    return [result.get("ErrorCode") for result in answer["Entries"]]


def queue_of(aws: LocalAws, bus: str) -> str:
    """The URL of a new queue that gets every event of the bus from source `s`."""
    events, sqs = aws.client("events"), aws.client("sqs")
    url = str(sqs.create_queue(QueueName=bus)["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=bus, EventBusName=bus, EventPattern='{"source":["s"]}')
    events.put_targets(Rule=bus, EventBusName=bus, Targets=[{"Id": "q", "Arn": arn}])
    return url


def test_results_are_merged_by_index_and_moto_delivers_under_the_ids_told(aws: LocalAws, bus: str) -> None:
    url = queue_of(aws, bus)
    numbered = [{**ENTRY, "Detail": json.dumps({"n": n, "é": "😀"})} for n in range(4)]
    spoilt = {**ENTRY, "Detail": "1"}, {**ENTRY, "Source": "aws.s3"}
    first, second, third, fourth = numbered
    answer = put(aws, spoilt[0], first, second, spoilt[1], {**third, "EventBusName": "none"}, fourth, bus=bus)
    assert answer["FailedEntryCount"] == 2
    assert codes(answer) == ["MalformedDetail", None, None, "NotAuthorizedForSourceException", None, None]
    messages = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    events = [json.loads(message["Body"]) for message in messages]
    ids = [answer["Entries"][index]["EventId"] for index in (1, 2, 5)]
    assert {event["id"]: event["detail"] for event in events} == dict(
        zip(ids, [{"n": n, "é": "😀"} for n in (0, 1, 3)], strict=True)
    )
    assert aws.counts() == {
        "accepted": 3,
        "requests": 1,
        "rejected": 2,
        "lost": 1,
        "deduplicated": 0,
        "undelivered": 0,
        "by_bus": {bus: 3},
        "by_detail_type": {"t": 3},
        "faults": {},
    }


def test_the_limits_hold_at_their_last_byte_entry_and_level(aws: LocalAws, bus: str) -> None:
    assert codes(put(aws, *[ENTRY] * 10, bus=bus)) == [None] * 10
    assert codes(put(aws, of_size(1_000_000), bus=bus)) == [None]
    answer = put(aws, *({**ENTRY, "Detail": nested(levels)} for levels in (1_000, 1_001)), bus=bus)
    assert codes(answer) == [None, "MalformedDetail"]
    with pytest.raises(ClientError, match=r"ValidationException.*less than or equal to 10") as raised:
        put(aws, *[ENTRY] * 11, bus=bus)
    assert raised.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-errortype"] == "ValidationException"
    unchecked = boto3.client("events", endpoint_url=aws.endpoint, config=Config(parameter_validation=False))
    with pytest.raises(ClientError, match=r"ValidationException.*greater than or equal to 1"):
        unchecked.put_events(Entries=[])
    with pytest.raises(ClientError, match=r"ValidationException.*over the limit"):
        put(aws, of_size(1_000_001), bus=bus)
    assert (aws.counts()["accepted"], aws.counts()["rejected"], aws.counts()["requests"]) == (12, 13, 6)


def test_a_body_that_is_no_request_is_refused(aws: LocalAws) -> None:
    headers = {"x-amz-target": "AWSEvents.PutEvents", "content-type": "application/x-amz-json-1.1"}
    answer = httpx.post(aws.endpoint, content=b"{", headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["__type"]) == (400, "SerializationException")
    assert answer.headers["x-amzn-errortype"] == "SerializationException"


def test_events_for_a_missing_bus_are_taken_and_lost(aws: LocalAws) -> None:
    answers = [put(aws, ENTRY, ENTRY, bus=f"none-{uuid.uuid4()}") for _ in range(2)]
    assert [answer["FailedEntryCount"] for answer in answers] == [0, 0]
    assert len({result["EventId"] for answer in answers for result in answer["Entries"]}) == 4
    assert (aws.counts()["lost"], aws.accepted()) == (4, [])


def test_a_bus_is_missing_as_soon_as_it_is_deleted_and_there_as_soon_as_it_is_made(aws: LocalAws) -> None:
    events, name = aws.client("events"), f"bus-{uuid.uuid4()}"
    for accepted, lost in pairwise(range(4)):
        put(aws, ENTRY, bus=name)
        assert (aws.counts()["accepted"], aws.counts()["lost"]) == (accepted, accepted + 1)
        events.create_event_bus(Name=name)
        put(aws, ENTRY, bus=name)
        assert (aws.counts()["accepted"], aws.counts()["lost"]) == (lost, accepted + 1)
        events.delete_event_bus(Name=name)


def test_a_bus_is_there_in_its_region_alone(aws: LocalAws, bus: str) -> None:
    put(aws, ENTRY, bus=bus)
    elsewhere = boto3.client("events", endpoint_url=aws.endpoint, region_name="eu-west-1")
    assert (
        elsewhere.put_events(Entries=[{"EventBusName": bus, "Source": "s", "DetailType": "t", "Detail": "{}"}])[
            "FailedEntryCount"
        ]
        == 0
    )
    assert (aws.counts()["accepted"], aws.counts()["lost"]) == (1, 1)


# The record


def test_the_record_tells_what_was_sent_in_order_and_page_by_page(aws: LocalAws, bus: str) -> None:
    sent = [{**ENTRY, "EventBusName": bus, "Detail": json.dumps({"n": n})} for n in range(5)]
    put(aws, *sent)
    pages = [httpx.get(f"{aws.endpoint}/_front/accepted?after={after}&limit=2", trust_env=False) for after in (0, 2, 4)]
    lines = [json.loads(line) for page in pages for line in page.content.splitlines()]
    assert lines == [{"number": n, "bus": bus, "entry": entry} for n, entry in enumerate(sent, 1)]
    assert aws.accepted() == sent
    assert aws.accepted(after=3) == sent[3:]
    assert aws.accepted(after=9) == []
    aws.reset()
    assert (aws.accepted(), aws.counts()["requests"]) == ([], 0)


def test_the_record_survives_what_text_takes_for_the_end_of_a_line(aws: LocalAws, bus: str) -> None:
    odd = {**ENTRY, "EventBusName": bus, "Detail": '{"a":"\u2028\u2029\u0085"}'}
    put(aws, odd)
    assert aws.accepted() == [odd]


@pytest.mark.parametrize("query", ["after=-1", "limit=x", "after="])
def test_a_page_that_is_no_number_is_refused(aws: LocalAws, query: str) -> None:
    assert httpx.get(f"{aws.endpoint}/_front/accepted?{query}", trust_env=False).status_code == 400


# Faults by plan


def client(aws: LocalAws, service: str = "events", **settings: Any) -> Any:
    """A client that tells every failure instead of trying again."""
    once = Config(retries={"total_max_attempts": 1}, max_pool_connections=16, **settings)
    return boto3.client(service, endpoint_url=aws.endpoint, config=once)  # type: ignore[call-overload]


def numbered(bus: str, *numbers: int) -> list[dict[str, Any]]:
    return [{**ENTRY, "EventBusName": bus, "Detail": json.dumps({"n": n})} for n in numbers]


def outcome(call: Callable[[], Any]) -> str:
    """What became of a call, in a word: the code of an error, or what happened to the connection."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    except (ConnectionClosedError, ReadTimeoutError) as error:
        return type(error).__name__
    return "done"


def outcomes(aws: LocalAws, bus: str, requests: int, senders: int = 1) -> list[str]:
    """What became of as many requests of one entry each, sent over as many connections at once."""
    events = client(aws)
    with ThreadPoolExecutor(senders) as pool:
        calls = [partial(events.put_events, Entries=numbered(bus, n)) for n in range(requests)]
        return list(pool.map(outcome, calls))


@pytest.mark.parametrize(
    ("plan", "codes"),
    [
        (FaultPlan(throttle=1), {"ThrottlingException"}),
        (FaultPlan(server_error=1), {"InternalException", "ServiceUnavailable"}),
        (FaultPlan(cut_before=1), {"ConnectionClosedError"}),
    ],
)
def test_a_request_fails_by_plan_and_nothing_of_it_is_accepted(
    aws: LocalAws, bus: str, plan: FaultPlan, codes: set[str]
) -> None:
    aws.set_faults(plan)
    assert set(outcomes(aws, bus, 10)) == codes
    counts = aws.counts()
    assert (counts["accepted"], counts["rejected"], counts["requests"], sum(counts["faults"].values())) == (
        0,
        0,
        10,
        10,
    )
    assert [(arrival.entries, arrival.accepted) for arrival in aws.arrivals()] == [(1, 0)] * 10


def test_failed_requests_have_the_status_and_form_of_the_service(aws: LocalAws, bus: str) -> None:
    found = set()
    for plan in (FaultPlan(throttle=1), FaultPlan(server_error=1)):
        aws.set_faults(plan)
        for _ in range(10):
            with pytest.raises(ClientError) as raised:
                client(aws).put_events(Entries=numbered(bus, 1))
            told = raised.value.response
            found.add((told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]["Code"]))
    assert found == {(400, "ThrottlingException"), (500, "InternalException"), (503, "ServiceUnavailable")}


def test_a_connection_may_be_cut_after_its_entries_were_accepted(aws: LocalAws, bus: str) -> None:
    client(aws).put_events(Entries=numbered(bus, 0))
    aws.set_faults(FaultPlan(cut_after=1))
    assert outcome(lambda: client(aws).put_events(Entries=numbered(bus, 1, 2))) == "ConnectionClosedError"
    assert [(line["entry"], line.get("cut")) for line in aws.accepted_lines()] == list(
        zip(numbered(bus, 0, 1, 2), [None, True, True], strict=True)
    )
    assert aws.counts()["faults"] == {"cut_after": 1}


def test_a_cut_comes_before_any_byte_of_an_answer(aws: LocalAws) -> None:
    aws.set_faults(FaultPlan(cut_before=1))
    host, _, port = aws.endpoint.rpartition("/")[2].partition(":")
    for _ in range(3):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nx-amz-target: AWSEvents.PutEvents\r\ncontent-length: 2\r\n\r\n{}")
            assert connection.recv(1) == b""


def test_a_slow_answer_comes_late_and_its_entries_are_marked(aws: LocalAws, bus: str) -> None:
    aws.set_faults(FaultPlan(slow=1, slow_seconds=1, hold=True))
    began = time.monotonic()
    client(aws).put_events(Entries=numbered(bus, 1))
    assert time.monotonic() - began >= 1
    impatient = client(aws, read_timeout=0.1)
    assert outcome(lambda: impatient.put_events(Entries=numbered(bus, 2))) == "ReadTimeoutError"
    wait_for(60, lambda: [line.get("slow") for line in aws.accepted_lines()] == [True, True])
    assert aws.counts()["faults"] == {"slow": 2}


def test_entries_whose_sender_may_no_longer_have_waited_are_told(aws: LocalAws, bus: str) -> None:
    client(aws).put_events(Entries=numbered(bus, 0))
    aws.set_faults(FaultPlan(slow=1, slow_seconds=3))
    client(aws).put_events(Entries=numbered(bus, 1, 2))
    assert aws.unheard() == {1, 2}


def test_entries_fail_by_plan_each_for_itself(aws: LocalAws, bus: str) -> None:
    plan = FaultPlan(seed=5, entry_throttle=0.3, entry_failure=0.3)
    aws.set_faults(plan)
    answer = client(aws).put_events(Entries=numbered(bus, *range(10)))
    told = {"entry_throttle": "ThrottlingException", "entry_failure": "InternalFailure", None: None}
    assert codes(answer) == [told[plan.decide_entry(1, index, "")] for index in range(10)]
    assert set(codes(answer)) == set(told.values())
    kept = [n for n, code in enumerate(codes(answer)) if not code]
    assert aws.accepted() == numbered(bus, *kept)
    assert (sum(aws.counts()["faults"].values()), aws.counts()["rejected"]) == (10 - len(kept), 0)
    assert answer["FailedEntryCount"] == 10 - len(kept)


def test_an_entry_that_is_refused_by_plan_is_refused_again(aws: LocalAws, bus: str) -> None:
    aws.set_faults(FaultPlan(seed=5, entry_refusal=0.4))
    there, back = (
        codes(client(aws).put_events(Entries=numbered(bus, *order))) for order in (range(10), range(9, -1, -1))
    )
    assert there == back[::-1]
    assert set(there) == {None, "MalformedDetail"}


def test_what_breaks_a_rule_is_refused_by_the_rule(aws: LocalAws, bus: str) -> None:
    aws.set_faults(FaultPlan(entry_throttle=1))
    answer = put(aws, {**ENTRY, "Source": "aws.s3"}, ENTRY, bus=bus)
    assert codes(answer) == ["NotAuthorizedForSourceException", "ThrottlingException"]
    assert (aws.counts()["rejected"], aws.counts()["faults"]) == (1, {"entry_throttle": 1})


WORDS = {
    "throttle": "ThrottlingException",
    "cut_before": "ConnectionClosedError",
    "cut_after": "ConnectionClosedError",
    None: "done",
}
MIXED = FaultPlan(seed=11, throttle=0.2, cut_before=0.1, cut_after=0.1, hold=True)


def test_a_seed_tells_what_becomes_of_every_request(aws: LocalAws, bus: str) -> None:
    expected = [WORDS[MIXED.decide(number).fault] for number in range(1, 61)]
    for _ in range(2):
        aws.set_faults(MIXED)
        assert outcomes(aws, bus, 60) == expected


def test_faults_come_as_often_as_told_over_many_connections_and_harm_no_other(aws: LocalAws, bus: str) -> None:
    aws.set_faults(MIXED)
    found = Counter(outcomes(aws, bus, 400, senders=8))
    planned = Counter(MIXED.decide(number).fault for number in range(1, 401))
    assert found["ThrottlingException"] == planned["throttle"] == pytest.approx(80, abs=32)
    assert found["ConnectionClosedError"] == planned["cut_before"] + planned["cut_after"] == pytest.approx(80, abs=32)
    assert found["done"] == planned[None]
    assert aws.counts()["faults"] == {name: times for name, times in planned.items() if name}
    lines = aws.accepted_lines()
    cut = [line for line in lines if line.get("cut")]
    assert (len(lines), len(cut)) == (planned[None] + planned["cut_after"], planned["cut_after"])
    assert len({line["entry"]["Detail"] for line in lines}) == len(lines)


def test_a_detail_type_that_is_denied_costs_its_whole_request(aws: LocalAws, bus: str) -> None:
    aws.set_faults(FaultPlan(denied_detail_type="b"))
    events = client(aws)

    def send(*types: str) -> str:
        entries = [{"EventBusName": bus, "Source": "s", "DetailType": each, "Detail": "{}"} for each in types]
        return outcome(lambda: events.put_events(Entries=entries))

    assert [send("a"), send("a", "b"), send("b"), send("ab")] == [
        "done",
        "AccessDeniedException",
        "AccessDeniedException",
        "done",
    ]
    assert [entry["DetailType"] for entry in aws.accepted()] == ["a", "ab"]


def test_s3_fails_only_where_it_matches_and_no_more_often_than_told(aws: LocalAws, bucket: str, bus: str) -> None:
    s3 = client(aws, "s3")

    def write(key: str) -> str:
        return outcome(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x"))

    assert write("ledger/é") == "done"
    aws.set_faults(FaultPlan(s3_unavailable=1, s3_match="/ledger/é", s3_methods=("PUT",), s3_limit=3))
    assert [write(key) for key in ("ledger/é", "ledger/é/2", "other", "ledger/e")] == [
        "SlowDown",
        "SlowDown",
        "done",
        "done",
    ]
    assert s3.get_object(Bucket=bucket, Key="ledger/é")["Body"].read() == b"x"
    assert s3.list_objects_v2(Bucket=bucket, Prefix="ledger/é")["KeyCount"] == 1
    client(aws).put_events(Entries=numbered(bus, 1))
    assert [write("ledger/é/3") for _ in range(2)] == ["SlowDown", "done"]
    assert aws.counts()["faults"] == {"s3_unavailable": 3}


def test_s3_may_fail_for_every_method(aws: LocalAws, bucket: str) -> None:
    s3 = client(aws, "s3")
    aws.set_faults(FaultPlan(s3_unavailable=1))
    calls = [s3.get_object, s3.delete_object, s3.head_object]
    assert [outcome(partial(call, Bucket=bucket, Key="k")) for call in calls] == [
        "SlowDown",
        "SlowDown",
        "503",
    ]
    with pytest.raises(ClientError) as raised:
        s3.list_objects_v2(Bucket=bucket)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    client(aws, "sqs").list_queues()


def test_what_is_held_does_not_reach_moto_but_its_bus_must_exist(aws: LocalAws, bus: str) -> None:
    url = queue_of(aws, bus)
    aws.set_faults(FaultPlan(hold=True))
    answer = put(aws, *numbered(bus, 1, 2), {**ENTRY, "EventBusName": "none"}, {**ENTRY, "Detail": "1"})
    assert codes(answer) == [None, None, None, "MalformedDetail"]
    assert len({result["EventId"] for result in answer["Entries"][:3]}) == 3
    assert (aws.accepted(), aws.counts()["lost"], aws.counts()["rejected"]) == (numbered(bus, 1, 2), 1, 1)
    aws.set_faults(FaultPlan())
    put(aws, *numbered(bus, 3))
    messages = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"])["detail"] for message in messages] == [{"n": 3}]


def test_arrivals_tell_when_requests_came_and_with_how_much(aws: LocalAws, bus: str) -> None:
    events, began = client(aws), time.monotonic()
    events.put_events(Entries=numbered(bus, 1, 2, 3))
    between = time.monotonic()
    events.put_events(Entries=[*numbered(bus, 4), {**ENTRY, "Detail": "1"}])
    first, second = aws.arrivals()
    assert began < first.seconds < between < second.seconds < time.monotonic()
    assert [each[1:] for each in (first, second)] == [(3, 3), (2, 1)]


@pytest.mark.parametrize("path", ["faults", "accepted"])
def test_faults_end_when_they_are_cleared_and_with_the_record(aws: LocalAws, bus: str, path: str) -> None:
    aws.set_faults(FaultPlan(throttle=1, s3_unavailable=1))
    assert outcomes(aws, bus, 1) == ["ThrottlingException"]
    httpx.delete(f"{aws.endpoint}/_front/{path}", trust_env=False).raise_for_status()
    assert outcomes(aws, bus, 1) == ["done"]
    client(aws, "s3").list_buckets()
    assert aws.counts()["faults"] == ({"throttle": 1} if path == "faults" else {})
    assert len(aws.arrivals()) == aws.counts()["requests"] == (2 if path == "faults" else 1)


def test_an_empty_plan_ends_faults_and_one_that_makes_no_sense_changes_nothing(aws: LocalAws, bus: str) -> None:
    url = f"{aws.endpoint}/_front/faults"
    aws.set_faults(FaultPlan(throttle=1))
    answer = httpx.post(url, content='{"throtle":1}', trust_env=False)
    assert (answer.status_code, "no throtle" in answer.text) == (400, True)
    assert outcomes(aws, bus, 1) == ["ThrottlingException"]
    assert httpx.post(url, content="{}", trust_env=False).status_code == 204
    assert outcomes(aws, bus, 1) == ["done"]


# Everything else


@dataclass
class Upstream:
    """A server in moto's place, and the front before it. It notes what reaches it and answers PutEvents with 500."""

    port: int = 0
    seen: list[tuple[str, list[tuple[str, str]], bytes]] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                seen.append((self.requestline, self.headers.items(), body))
                self.send_response(500 if self.headers.get("x-amz-target") == "AWSEvents.PutEvents" else 200)
                for value in ("1", "2"):
                    self.send_header("X-Twice", value)
                self.end_headers()
                self.wfile.write(b"answer")

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler


@contextmanager
def fronted(upstream: Upstream) -> Iterator[Upstream]:
    with ThreadingHTTPServer(("127.0.0.1", 0), upstream.handler()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        app = make_front(f"http://127.0.0.1:{server.server_port}")
        front = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none"))
        listening = socket.create_server(("127.0.0.1", 0))
        upstream.port = listening.getsockname()[1]
        thread = threading.Thread(target=front.run, args=[[listening]])
        thread.start()
        yield upstream
        front.should_exit = True
        thread.join()
        server.shutdown()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with fronted(Upstream()) as each:
        yield each


@pytest.mark.parametrize(
    "path", ["/", "/b/a/../c/./d", "//b//", "/b/a%2Fb+c=d%20e%0Af?x=%2F&list-type=2&y", "/b/'(x)!*~"]
)
def test_requests_reach_moto_as_they_came(upstream: Upstream, path: str) -> None:
    headers = [("Host", "bucket.example"), ("X-A", "1"), ("X-A", "2"), ("Authorization", "AWS4 x")]
    connection = http.client.HTTPConnection("127.0.0.1", upstream.port)
    connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
    for name, value in [*headers, ("Content-Length", "4"), ("Connection", "keep-alive")]:
        connection.putheader(name, value)
    connection.endheaders(b"\x00\xffab")
    answer = connection.getresponse()
    assert (answer.status, answer.read(), answer.headers.get_all("x-twice")) == (200, b"answer", ["1", "2"])
    connection.close()
    line, told, body = upstream.seen[-1]
    assert (line, body) == (f"POST {path} HTTP/1.1", b"\x00\xffab")
    expected = [(name.lower(), value) for name, value in [*headers, ("Content-Length", "4")]]
    assert sorted((name.lower(), value) for name, value in told) == sorted(expected)


def test_what_moto_fails_to_take_is_not_recorded(upstream: Upstream) -> None:
    url = f"http://127.0.0.1:{upstream.port}"
    target = {"x-amz-target": "AWSEvents.PutEvents"}
    answer = httpx.post(url, json={"Entries": [ENTRY]}, headers=target, trust_env=False)
    assert (answer.status_code, answer.text) == (500, "answer")
    counts = httpx.get(f"{url}/_front/counts", trust_env=False).json()
    assert (counts["requests"], counts["accepted"], counts["lost"]) == (1, 0, 0)


KEYS = ["plain", "a b", "a=b/c+d", "é/ü/😀", "per%20cent", "x?y&z#w", "a/../b", "./a//b", "date=1/event_type=a.b.C"]


@pytest.mark.parametrize("key", KEYS)
def test_s3_goes_through_with_every_kind_of_key(aws: LocalAws, bucket: str, key: str) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=bucket, Key=key, Body=b"0123456789")
    assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == 10
    assert s3.get_object(Bucket=bucket, Key=key, Range="bytes=2-4")["Body"].read() == b"234"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_bodies_go_through_as_they_are(aws: LocalAws, bucket: str) -> None:
    s3 = aws.client("s3")
    bodies = {"empty": b"", "zipped": gzip.compress(b"x" * 1000), "large": bytes(range(256)) * 20_000}
    for key, body in bodies.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentEncoding="gzip" if key == "zipped" else "")
    assert {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in bodies} == bodies


def test_listing_pages_over_a_thousand_keys(aws: LocalAws, bucket: str) -> None:
    s3 = aws.client("s3")
    keys = [f"date=1/é+ {number:04}" for number in range(1_001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b""), keys))
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket))
    assert [page["KeyCount"] for page in pages] == [1_000, 1]
    assert [each["Key"] for page in pages for each in page["Contents"]] == keys


def test_conditional_writes_hold(aws: LocalAws, bucket: str) -> None:
    s3 = aws.client("s3")
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=etag)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"4", IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"3"


SKEWED = ["RequestTimeTooSkewed", "InvalidSignatureException", "InvalidSignatureException"]


@pytest.mark.parametrize(("minutes", "answers"), [(4, ["done"] * 3), (6, SKEWED), (-6, SKEWED)])
def test_what_is_signed_at_a_time_too_far_off_is_refused(
    aws: LocalAws, bus: str, minutes: int, answers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC) + timedelta(minutes=minutes)
    # The signers of the Common Runtime, which botocore prefers.
    monkeypatch.setattr("botocore.crt.auth.get_current_datetime", lambda **_: now)
    calls = [
        client(aws, "s3").list_buckets,
        partial(client(aws).put_events, Entries=numbered(bus, 1)),
        client(aws, "eventbridgev2").list_event_buses,
    ]
    assert [outcome(call) for call in calls] == answers
