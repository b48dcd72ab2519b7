"""Test events over real clients and local AWS, and where they are seen to arrive."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft4Validator

from currents_aws.try_destination import try_destination
from currents_core.crew import Threads
from currents_core.setup.settings import Connector
from tests.tools.airflow_env import ROOT
from tests.tools.delivering import target_of
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import LocalAws

ACCOUNT = "123456789012"
OPEN, CLICK = "users.messages.email.Open", "users.messages.email.Click"
NOWHERE = "accepted; not confirmed: no rule or subscriber that may take it has a target that can be read"


class Hurried(Threads):
    """Threads whose clock goes fast while they sleep, so that nobody waits long for what does not come."""

    slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        super().sleep(seconds / 100)

    def seconds(self) -> float:
        return super().seconds() + self.slept


class Trial:
    """A connector, its destination, and the rights of whoever tries it."""

    def __init__(self, aws: LocalAws, destination: dict[str, Any], *event_types: str) -> None:
        self.aws = aws
        self.connector = Connector.model_validate(
            {
                "name": "orders",
                "source": {"bucket": "braze"},
                "destination": {"region": "us-east-1", **destination},
                "state": {"bucket": "state"},
                "budget": {"entries_per_second": 1_000},
                "event_types": {"include": event_types or [OPEN, CLICK]},
            }
        )
        self.denied: set[str] = set()

    def client(self, service: str) -> Any:
        client = self.aws.client(service)
        client.meta.events.register("before-call", self._deny)
        return client

    def _deny(self, model: Any, **_: Any) -> None:
        if model.name in self.denied:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, model.name)

    def run(self, *, is_known: bool = True) -> list[str]:
        target = target_of(self.connector)
        try:
            found = try_destination(self.connector, target, self.client if is_known else None, Hurried(), seconds=5)
        finally:
            target.close()
        assert found.refused == sum("refused: " in str(each) for each in found.findings)
        return [str(each) for each in found.findings]


@pytest.fixture
def trial(aws: LocalAws, bus: str) -> Iterator[Trial]:
    """Of a classic bus that has no rules."""
    yield Trial(aws, {"kind": "event_bus", "name": bus})
    aws.set_faults(FaultPlan())


@pytest.fixture
def queue(aws: LocalAws) -> str:
    """The name of a queue."""
    name = f"queue-{uuid.uuid4()}"
    aws.client("sqs").create_queue(QueueName=name)
    return name


def arn_of(queue: str) -> str:
    return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{queue}"


def rule(aws: LocalAws, bus: str, target: str, pattern: dict[str, Any], **told: Any) -> None:
    """Makes a rule on a bus with one target."""
    events, name = aws.client("events"), f"rule-{uuid.uuid4()}"
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern), **told)
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "1", "Arn": target}])


def bodies(aws: LocalAws, queue: str) -> list[Any]:
    """The messages of a queue."""
    sqs = aws.client("sqs")
    url, found = sqs.get_queue_url(QueueName=queue)["QueueUrl"], dict[str, Any]()
    for _ in range(5):
        told = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        found |= {each["MessageId"]: json.loads(each["Body"]) for each in told.get("Messages", ())}
    return list(found.values())


ALL = {"source": ["braze.currents"]}


def test_what_arrives_in_a_queue_is_seen_there_and_stays(aws: LocalAws, trial: Trial, bus: str, queue: str) -> None:
    rule(aws, bus, arn_of(queue), ALL)
    assert trial.run() == [f"{each}: accepted, and arrived in queue {queue}" for each in (CLICK, OPEN)]
    url = aws.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"]
    told = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert int(told["ApproximateNumberOfMessages"]) + int(told["ApproximateNumberOfMessagesNotVisible"]) == 2


def test_what_arrives_is_what_the_published_schema_says_and_is_another_event_each_time(
    aws: LocalAws, trial: Trial, bus: str, queue: str
) -> None:
    for _ in range(2):
        assert trial.run() == [f"{each}: {NOWHERE}" for each in (CLICK, OPEN)]
    rule(aws, bus, arn_of(queue), ALL)
    trial.denied = {"ListRules"}
    trial.run()
    events = bodies(aws, queue)
    assert len(events) == 2
    for event in events:
        schema = json.loads((ROOT / "docs" / "schemas" / f"{event['detail-type']}.json").read_text("utf-8"))
        # moto leaves out the account.
        assert list(Draft4Validator(schema).iter_errors({"account": ACCOUNT, **event})) == []
        assert event["detail"]["currents_export"] == {"mode": "test"}
    ids = [json.loads(entry["Detail"])["id"] for entry in aws.accepted()]
    assert len(set(ids)) == len(ids) == 6


def test_what_arrives_in_a_log_group_is_seen_there(aws: LocalAws, trial: Trial, bus: str) -> None:
    group = f"/aws/events/{bus}"
    aws.client("logs").create_log_group(logGroupName=group)
    rule(aws, bus, f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{group}", {"detail-type": [OPEN]})
    [click, opened] = trial.run()
    assert opened == f"{OPEN}: accepted, and arrived in log group {group}"
    assert click == (
        f"{CLICK}: accepted; not seen within 5 s in log group {group}; no rule took it, or a consumer was quicker"
    )


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ({"source": ["orders.web"]}, {}),
        ({"detail-type": ["users.behaviors.Purchase"]}, {}),
        (ALL, {"State": "DISABLED"}),
    ],
)
def test_the_queue_of_a_rule_that_can_not_take_the_events_is_not_touched(
    aws: LocalAws, trial: Trial, queue: str, pattern: dict[str, Any], told: dict[str, Any]
) -> None:
    rule(aws, trial.connector.destination_name, arn_of(queue), pattern, **told)
    trial.denied = {"GetQueueUrl", "ReceiveMessage"}
    assert trial.run() == [f"{each}: {NOWHERE}" for each in (CLICK, OPEN)]


def test_a_rule_whose_pattern_is_more_than_plain_values_may_take_the_events(
    aws: LocalAws, trial: Trial, bus: str, queue: str
) -> None:
    rule(aws, bus, arn_of(queue), {"source": [{"prefix": "braze."}], "detail": {"currents_export": {"mode": ["test"]}}})
    assert trial.run() == [f"{each}: accepted, and arrived in queue {queue}" for each in (CLICK, OPEN)]


def test_a_queue_that_counts_looks_against_its_messages_is_left_alone(
    aws: LocalAws, trial: Trial, bus: str, queue: str
) -> None:
    sqs, letters = aws.client("sqs"), f"letters-{uuid.uuid4()}"
    sqs.create_queue(QueueName=letters)
    policy = json.dumps({"deadLetterTargetArn": arn_of(letters), "maxReceiveCount": 3})
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy})
    rule(aws, bus, arn_of(queue), ALL)
    trial.denied = {"ReceiveMessage"}
    *lines, note = trial.run()
    assert lines == [f"{each}: {NOWHERE}" for each in (CLICK, OPEN)]
    assert note == f"arrival: queue {queue} is left alone: each look would count against its redrive policy"


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        ("ListRules", "the rules of the bus can't be listed (AccessDeniedException)"),
        ("ListTargetsByRule", "the rules of the bus can't be listed (AccessDeniedException)"),
        ("GetQueueUrl", "queue {} can't be read (AccessDeniedException)"),
        ("ReceiveMessage", "queue {} can't be read (AccessDeniedException)"),
    ],
)
def test_what_may_not_be_read_is_told_and_the_events_count_as_accepted(
    aws: LocalAws, trial: Trial, queue: str, operation: str, told: str
) -> None:
    rule(aws, trial.connector.destination_name, arn_of(queue), ALL)
    trial.denied = {operation}
    *lines, note = trial.run()
    assert len(lines) == 2
    assert all(": accepted; not " in each for each in lines)
    assert note == f"arrival: {told.format(queue)}"


def test_what_is_refused_is_told_with_the_reason(aws: LocalAws, trial: Trial) -> None:
    aws.set_faults(FaultPlan(entry_refusal=1.0))
    assert trial.run() == [f"{each}: refused: MalformedDetail: Detail is malformed." for each in (CLICK, OPEN)]


def test_a_hundred_types_are_found_among_what_else_is_in_the_queue(aws: LocalAws, bus: str, queue: str) -> None:
    trial = Trial(aws, {"kind": "event_bus", "name": bus}, "*")
    for number in range(15):
        url = aws.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"]
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=f"other {number}")
    rule(aws, bus, arn_of(queue), ALL)
    lines = trial.run()
    assert len(lines) == 94
    assert {line.partition(": ")[2] for line in lines} == {f"accepted, and arrived in queue {queue}"}


def test_a_subscriber_of_a_custom_bus_is_looked_at(aws: LocalAws, queue: str) -> None:
    client = aws.client("eventbridgev2")
    arn = client.create_event_bus(Name=f"bus-{uuid.uuid4()}")["EventBusArn"]
    aws.forward(5)
    trial = Trial(aws, {"kind": "custom_bus", "name": arn})
    assert trial.run() == [f"{each}: {NOWHERE}" for each in (CLICK, OPEN)]
    role = f"arn:aws:iam::{ACCOUNT}:role/subscriber"
    invoke = {"TargetArn": arn_of(queue), "RoleArn": role}
    client.create_subscriber(Name=f"s-{uuid.uuid4()}", EventBusArn=arn, InvokeConfiguration=invoke)
    assert trial.run() == [f"{each}: accepted, and arrived in queue {queue}" for each in (CLICK, OPEN)]


def test_a_partner_source_is_looked_at_through_the_customers_account_if_that_is_known(
    aws: LocalAws, queue: str
) -> None:
    aws.register_partner()
    told = {"kind": "partner_source", "account": ACCOUNT, "partner_name": f"p-{uuid.uuid4()}.example"}
    trial = Trial(aws, told)
    name, events = trial.connector.destination_name, aws.client("events")
    events.create_partner_event_source(Name=name, Account=ACCOUNT)
    events.create_event_bus(Name=name, EventSourceName=name)
    rule(aws, name, arn_of(queue), {"source": [{"prefix": "aws.partner/"}]})
    assert trial.run() == [f"{each}: accepted, and arrived in queue {queue}" for each in (CLICK, OPEN)]
    *_, note = trial.run(is_known=False)
    assert note == "arrival: no connection to the account in which the events arrive is known"


def test_where_no_type_is_documented_that_is_told(aws: LocalAws, bus: str) -> None:
    trial = Trial(aws, {"kind": "event_bus", "name": bus}, "no.such.Type")
    assert trial.run() == ["test events: none, because Braze documents none of the event types"]
