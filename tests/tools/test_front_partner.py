from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import LocalAws
from tests.tools.model_check import checked_client

ACCOUNT, OTHER = "123456789012", "210987654321"
DAY = 86_400
WEEK = 7 * DAY


@pytest.fixture
def events(aws: LocalAws) -> Any:
    """A client of an account that is a registered partner, and a customer of its own."""
    aws.register_partner()
    return checked_client(aws, "events")


@pytest.fixture
def source(events: Any) -> str:
    """The name of a source that is PENDING."""
    name = f"aws.partner/braze.test/{uuid.uuid4()}/currents"
    events.create_partner_event_source(Name=name, Account=ACCOUNT)
    return name


def entry(source: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"Source": source, "DetailType": "t", "Detail": json.dumps({"n": number}), **changes}


def codes(answer: dict[str, Any]) -> list[str | None]:
    return [result.get("ErrorCode") for result in answer["Entries"]]


def state(events: Any, source: str) -> str:
    return str(events.describe_event_source(Name=source)["State"])


def error_of(call: Any, *arguments: Any, **named: Any) -> str:
    """The code of the error that a call meets."""
    with pytest.raises(ClientError) as raised:
        call(*arguments, **named)
    return str(raised.value.response["Error"]["Code"])


def queue_of(aws: LocalAws, bus: str) -> str:
    """The URL of a new queue that gets every event of a partner's bus."""
    events, sqs = aws.client("events"), aws.client("sqs")
    url = str(sqs.create_queue(QueueName=f"q-{uuid.uuid4()}")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="all", EventBusName=bus, EventPattern='{"source":[{"prefix":"aws.partner/"}]}')
    events.put_targets(Rule="all", EventBusName=bus, Targets=[{"Id": "q", "Arn": arn}])
    return url


def received(aws: LocalAws, url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while messages := aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"]) for message in messages]
    return found


# Sources


def test_a_source_is_pending_until_the_customer_has_a_bus_for_it(events: Any, source: str) -> None:
    told = events.describe_event_source(Name=source)
    assert (told["State"], told["CreatedBy"]) == ("PENDING", "aws.partner/braze.test")
    assert told["ExpirationTime"] - told["CreationTime"] == timedelta(days=7)
    assert events.describe_partner_event_source(Name=source)["Arn"] == told["Arn"]
    events.create_event_bus(Name=source, EventSourceName=source)
    told = events.describe_event_source(Name=source)
    assert (told["State"], "ExpirationTime" in told) == ("ACTIVE", False)
    accounts = events.list_partner_event_source_accounts(EventSourceName=source)["PartnerEventSourceAccounts"]
    assert [(each["Account"], each["State"]) for each in accounts] == [(ACCOUNT, "ACTIVE")]


def test_deleting_the_bus_makes_a_source_pending_for_another_week(aws: LocalAws, events: Any, source: str) -> None:
    events.create_event_bus(Name=source, EventSourceName=source)
    aws.forward(2 * WEEK)
    assert state(events, source) == "ACTIVE"
    events.delete_event_bus(Name=source)
    aws.forward(WEEK - 60)
    assert state(events, source) == "PENDING"
    events.create_event_bus(Name=source, EventSourceName=source)
    assert state(events, source) == "ACTIVE"


def test_a_source_that_stays_pending_is_gone_after_a_week_and_may_be_created_again(
    aws: LocalAws, events: Any, source: str
) -> None:
    aws.forward(WEEK - 60)
    assert state(events, source) == "PENDING"
    assert (
        error_of(events.create_partner_event_source, Name=source, Account=ACCOUNT) == "ResourceAlreadyExistsException"
    )
    aws.forward(60)
    calls = [events.describe_event_source, events.describe_partner_event_source]
    assert {error_of(call, Name=source) for call in calls} == {"ResourceNotFoundException"}
    gone = error_of(events.create_event_bus, Name=source, EventSourceName=source)
    assert gone == "ResourceNotFoundException"
    events.create_partner_event_source(Name=source, Account=ACCOUNT)
    assert state(events, source) == "PENDING"


def test_a_deactivated_source_keeps_its_bus_and_may_be_activated(aws: LocalAws, events: Any, source: str) -> None:
    assert error_of(events.activate_event_source, Name=source) == "InvalidStateException"
    assert error_of(events.deactivate_event_source, Name=source) == "InvalidStateException"
    events.create_event_bus(Name=source, EventSourceName=source)
    events.deactivate_event_source(Name=source)
    assert (state(events, source), events.describe_event_bus(Name=source)["Name"]) == ("PENDING", source)
    assert codes(events.put_partner_events(Entries=[entry(source)])) == [None]
    events.activate_event_source(Name=source)
    assert (state(events, source), aws.counts()["lost"]) == ("ACTIVE", 1)


def test_a_deactivated_source_expires_for_good(aws: LocalAws, events: Any, source: str) -> None:
    events.create_event_bus(Name=source, EventSourceName=source)
    events.deactivate_event_source(Name=source)
    aws.forward(WEEK)
    assert state(events, source) == "DELETED"
    assert error_of(events.activate_event_source, Name=source) == "InvalidStateException"
    events.delete_event_bus(Name=source)
    assert error_of(events.describe_event_source, Name=source) == "ResourceNotFoundException"


def test_a_source_that_the_partner_deletes_is_deleted_for_the_customer(events: Any, source: str) -> None:
    events.create_event_bus(Name=source, EventSourceName=source)
    events.delete_partner_event_source(Name=source, Account=OTHER)
    assert state(events, source) == "ACTIVE"
    events.delete_partner_event_source(Name=source, Account=ACCOUNT)
    assert state(events, source) == "DELETED"
    assert error_of(events.describe_partner_event_source, Name=source) == "ResourceNotFoundException"
    assert error_of(events.create_event_bus, Name=source, EventSourceName=source) == "InvalidStateException"
    events.delete_event_bus(Name=source)
    events.create_partner_event_source(Name=source, Account=ACCOUNT)
    events.create_event_bus(Name=source, EventSourceName=source)
    assert state(events, source) == "ACTIVE"


def test_a_name_belongs_to_one_account(events: Any) -> None:
    name = f"aws.partner/braze.test/{uuid.uuid4()}"
    events.create_partner_event_source(Name=name, Account=OTHER)
    assert error_of(events.create_partner_event_source, Name=name, Account=ACCOUNT) == "ResourceAlreadyExistsException"
    accounts = events.list_partner_event_source_accounts(EventSourceName=name)["PartnerEventSourceAccounts"]
    assert [each["Account"] for each in accounts] == [OTHER]
    assert error_of(events.describe_event_source, Name=name) == "ResourceNotFoundException"
    assert error_of(events.create_event_bus, Name=name, EventSourceName=name) == "ResourceNotFoundException"
    assert events.list_event_sources(NamePrefix=name)["EventSources"] == []


@pytest.mark.parametrize(
    "name",
    [
        "aws.partner/braze",
        "aws.partner",
        "partner/braze/currents",
        "aws.partner/braze/a b",
        "aws.partner/braze//",
        "a" * 257,
    ],
)
def test_a_name_that_is_none_is_refused(events: Any, name: str) -> None:
    assert error_of(events.create_partner_event_source, Name=name, Account=ACCOUNT) == "ValidationException"


def test_a_bus_has_the_name_of_its_source(events: Any, source: str) -> None:
    assert error_of(events.create_event_bus, Name="other", EventSourceName=source) == "ValidationException"
    events.create_event_bus(Name=source, EventSourceName=source)
    again = error_of(events.create_event_bus, Name=source, EventSourceName=source)
    assert again == "ResourceAlreadyExistsException"


def test_sources_are_listed_page_by_page_for_both_sides(events: Any) -> None:
    prefix = f"aws.partner/braze.test/{uuid.uuid4()}/"
    names = [f"{prefix}{n}" for n in range(3)]
    for name in names:
        events.create_partner_event_source(Name=name, Account=ACCOUNT)
    for call, key in (
        (events.list_event_sources, "EventSources"),
        (events.list_partner_event_sources, "PartnerEventSources"),
    ):
        first = call(NamePrefix=prefix, Limit=2)
        second = call(NamePrefix=prefix, Limit=2, NextToken=first["NextToken"])
        assert [each["Name"] for each in first[key] + second[key]] == names
        assert "NextToken" not in second


def test_a_source_is_there_in_its_region_alone(aws: LocalAws, events: Any, source: str) -> None:
    elsewhere = checked_client(aws, "events", "eu-west-1")
    assert error_of(elsewhere.describe_event_source, Name=source) == "ResourceNotFoundException"
    assert codes(elsewhere.put_partner_events(Entries=[entry(source)])) == ["NotAuthorizedForSourceException"]


def test_an_account_that_is_no_partner_is_refused_and_may_still_be_a_customer(
    aws: LocalAws, events: Any, source: str
) -> None:
    aws.register_partner(is_partner=False)
    calls = [
        lambda: events.create_partner_event_source(Name=f"{source}/2", Account=ACCOUNT),
        lambda: events.describe_partner_event_source(Name=source),
        lambda: events.list_partner_event_sources(NamePrefix=source),
        lambda: events.list_partner_event_source_accounts(EventSourceName=source),
        lambda: events.delete_partner_event_source(Name=source, Account=ACCOUNT),
        lambda: events.put_partner_events(Entries=[entry(source)]),
    ]
    assert {error_of(call) for call in calls} == {"AccessDeniedException"}
    assert state(events, source) == "PENDING"
    aws.register_partner()
    aws.reset()
    assert error_of(calls[0]) == "AccessDeniedException"


# PutPartnerEvents


def test_what_a_pending_source_gets_is_lost_and_what_an_active_one_gets_is_delivered(
    aws: LocalAws, events: Any, source: str
) -> None:
    answer = events.put_partner_events(Entries=[entry(source)])
    assert (codes(answer), answer["FailedEntryCount"]) == ([None], 0)
    assert (aws.counts()["lost"], aws.accepted()) == (1, [])
    events.create_event_bus(Name=source, EventSourceName=source)
    url = queue_of(aws, source)
    sent = [entry(source, n) for n in range(20)]
    answer = events.put_partner_events(Entries=sent)
    assert {event["id"]: event["detail"]["n"] for event in received(aws, url)} == {
        result["EventId"]: n for n, result in enumerate(answer["Entries"])
    }
    assert aws.accepted() == sent
    counts = aws.counts()
    assert (counts["accepted"], counts["lost"], counts["by_bus"]) == (20, 1, {source: 20})
    assert [each[1:] for each in aws.arrivals()] == [(1, 0), (20, 20)]


def test_a_bus_that_is_deleted_meanwhile_drops_events_and_no_look_tells_that_they_arrived(
    aws: LocalAws, events: Any, source: str
) -> None:
    events.create_event_bus(Name=source, EventSourceName=source)
    told: list[tuple[int, str]] = []

    def put(number: int) -> None:
        assert codes(events.put_partner_events(Entries=[entry(source, number)])) == [None]
        told.append((number, state(events, source)))
        if number == 40:
            events.delete_event_bus(Name=source)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(100)))
    arrived = {json.loads(each["Detail"])["n"] for each in aws.accepted() if each["Source"] == source}
    assert 0 < len(arrived) < 100
    assert {number for number, found in told if found == "ACTIVE"} <= arrived


def test_entries_are_judged_one_by_one(aws: LocalAws, events: Any, source: str) -> None:
    events.create_event_bus(Name=source, EventSourceName=source)
    answer = events.put_partner_events(
        Entries=[
            entry(source),
            entry(f"{source}/missing"),
            entry("aws.partner/braze/other"),
            entry(source, Detail="[]"),
            entry(source, DetailType="t" * 129),
            entry(source, Resources=["r" * 2_049]),
            {"Source": source, "Detail": "{}"},
        ]
    )
    assert codes(answer) == [
        None,
        "NotAuthorizedForSourceException",
        "NotAuthorizedForSourceException",
        "MalformedDetail",
        "InvalidArgument",
        "InvalidArgument",
        "InvalidArgument",
    ]
    assert (answer["FailedEntryCount"], aws.counts()["rejected"]) == (6, 6)


def test_a_request_holds_one_to_twenty_entries_a_million_bytes_and_something_whole(aws: LocalAws, source: str) -> None:
    unchecked = checked_client(aws, "events", parameter_validation=False)
    large = entry(source, Detail='{"a":"' + "x" * 1_000_000 + '"}')
    for entries in ([], [entry(source)] * 21, [large], [{"Source": source}, {"Detail": "{}"}]):
        assert error_of(unchecked.put_partner_events, Entries=entries) == "ValidationException"
    assert codes(unchecked.put_partner_events(Entries=[entry(source)] * 20)) == [None] * 20


def test_a_source_that_is_gone_takes_nothing(aws: LocalAws, events: Any, source: str) -> None:
    events.create_event_bus(Name=source, EventSourceName=source)
    events.delete_partner_event_source(Name=source, Account=ACCOUNT)
    assert codes(events.put_partner_events(Entries=[entry(source)])) == ["NotAuthorizedForSourceException"]


def test_puts_fail_by_plan_as_those_to_other_buses_do(aws: LocalAws, events: Any, source: str) -> None:
    events.create_event_bus(Name=source, EventSourceName=source)
    aws.set_faults(FaultPlan(throttle=1))
    assert error_of(events.put_partner_events, Entries=[entry(source)]) == "ThrottlingException"
    aws.set_faults(FaultPlan(entry_failure=1))
    assert codes(events.put_partner_events(Entries=[entry(source)] * 2)) == ["InternalFailure"] * 2
    aws.set_faults(FaultPlan(cut_after=1, hold=True))
    with pytest.raises(ConnectionClosedError):
        events.put_partner_events(Entries=[entry(source)])
    assert [line["cut"] for line in aws.accepted_lines()] == [True]


def test_calls_must_be_signed(aws: LocalAws, source: str) -> None:
    def call(operation: str, **content: str) -> tuple[int, str]:
        headers = {"x-amz-target": f"AWSEvents.{operation}", "content-type": "application/x-amz-json-1.1"}
        answer = httpx.post(aws.endpoint, json=content, headers=headers, trust_env=False)
        return answer.status_code, answer.json().get("__type", "")

    missing = (403, "MissingAuthenticationTokenException")
    assert call("DescribeEventSource", Name=source) == missing
    assert call("CreateEventBus", Name=source, EventSourceName=source) == missing
    assert call("PutPartnerEvents") == missing
