"""Looks whether events arrive where the targets of rules, or subscribers, can be read: queues of SQS, and log groups.

It reads and deletes nothing. A message that SQS hands out is hidden from others for a moment, and counts as received,
so that a queue that moves such messages to a dead-letter queue is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from botocore.exceptions import ClientError

from currents_aws.asked import pages
from currents_aws.aws_errors import AWS_ERRORS, AwsError, code_of
from currents_aws.preflight import Clients
from currents_aws.scrub import scrubbed
from currents_core.crew import Crew

# For how long a message that was looked at is hidden from others. The next look then finds other messages.
_HIDDEN_SECONDS = 3
# The most messages that SQS hands out at once, and how long it waits for some.
# Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
_MESSAGES, _WAIT_SECONDS = 10, 1
_PAUSE_SECONDS = 1.0
_SQS, _LOGS = "sqs", "logs"


class Place(Protocol):
    """Where events may arrive. ``name`` names it in messages."""

    @property
    def name(self) -> str:
        """Its name, in words."""

    def texts(self) -> Iterable[str]:
        """What is there, or part of it. Raises one of AWS_ERRORS."""


@dataclass(frozen=True)
class Queue:
    """A queue with this ARN, by a client of the service `sqs`."""

    client: Any
    arn: str
    url: str

    @property
    def name(self) -> str:
        """Its name, in words."""
        return f"queue {self.arn.rpartition(':')[2]}"

    def texts(self) -> Iterable[str]:
        """Some messages.

        Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
        """
        told = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=_MESSAGES,
            VisibilityTimeout=_HIDDEN_SECONDS,
            WaitTimeSeconds=_WAIT_SECONDS,
        )
        return [each["Body"] for each in told.get("Messages", ())]


@dataclass(frozen=True)
class LogGroup:
    """A log group, by a client of the service `logs`: what it has of a ``sending`` since some time."""

    client: Any
    group: str
    sending: str
    since: datetime

    @property
    def name(self) -> str:
        """Its name, in words."""
        return f"log group {self.group}"

    def texts(self) -> Iterable[str]:
        """The events with the name of the sending in them.

        Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
        """
        told: dict[str, Any] = {
            "logGroupName": self.group,
            "filterPattern": f'"{self.sending}"',
            "startTime": int(self.since.timestamp() * 1000),
        }
        while True:
            page = self.client.filter_log_events(**told)
            yield from (each["message"] for each in page["events"])
            if not page.get("nextToken"):
                return
            told["nextToken"] = page["nextToken"]


class Places(NamedTuple):
    """Where events can be looked for, and why they can't be elsewhere."""

    readable: list[Place]
    notes: list[str]


class Arrived(NamedTuple):
    """Where each id was seen, by the name of the place, and why some places could not be read."""

    where: dict[str, str]
    notes: list[str]


def places_of_bus(
    clients: Clients, bus: str, wanted: Mapping[str, Collection[str]], sending: str, since: datetime
) -> Places:
    """The targets of the rules of a classic bus, by name or ARN, that may take events.

    ``clients`` makes a boto3 client of a service, in the account of the bus. ``wanted`` are the values of `source` and
    of `detail-type` that the events have.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListRules.html
    """
    events = clients("events")
    try:
        rules = [each for each in pages(events.list_rules, "Rules", EventBusName=bus) if _may_take(each, wanted)]
        targets = [
            str(target["Arn"])
            for rule in rules
            for target in pages(events.list_targets_by_rule, "Targets", EventBusName=bus, Rule=rule["Name"])
        ]
    except AWS_ERRORS as error:
        return Places([], [f"the rules of the bus can't be listed ({_code(error)})"])
    return _places(clients, targets, sending, since)


def places_of_custom_bus(clients: Clients, arn: str, sending: str, since: datetime) -> Places:
    """The targets of the subscribers of a custom bus.

    Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_ListSubscribers.html
    """
    buses = clients("eventbridgev2")
    try:
        subscribers = list(pages(buses.list_subscribers, "Subscribers", EventBusArn=arn))
    except AWS_ERRORS as error:
        return Places([], [f"the subscribers of the bus can't be listed ({_code(error)})"])
    return _places(clients, [str(each.get("TargetArn", "")) for each in subscribers], sending, since)


def arrived(places: Iterable[Place], ids: Collection[str], crew: Crew, seconds: float) -> Arrived:
    """Looks at places until each id was seen somewhere, or for some seconds."""
    left, where, notes = list(places), dict[str, str](), list[str]()
    deadline = crew.seconds() + seconds
    while left and len(where) < len(ids):
        before = len(where)
        for place in list(left):
            try:
                seen = {each for text in place.texts() for each in ids if each in text}
            except AWS_ERRORS as error:
                left.remove(place)
                notes.append(f"{place.name} can't be read ({_code(error)})")
                continue
            where |= dict.fromkeys(seen - where.keys(), place.name)
        if crew.seconds() >= deadline:
            break
        if len(where) == before:
            crew.sleep(_PAUSE_SECONDS)
    return Arrived(where, notes)


def _may_take(rule: Mapping[str, Any], wanted: Mapping[str, Collection[str]]) -> bool:
    """Whether a rule may take events. One that lists other values in plain does not; any other pattern may."""
    if rule.get("State") == "DISABLED" or not rule.get("EventPattern"):
        return False
    pattern = json.loads(rule["EventPattern"])
    return all(_may_match(pattern.get(name), values) for name, values in wanted.items())


def _may_match(listed: Any, values: Collection[str]) -> bool:
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        return True
    return not set(values).isdisjoint(listed)


def _places(clients: Clients, arns: Iterable[str], sending: str, since: datetime) -> Places:
    found = Places([], [])
    for arn in dict.fromkeys(arns):
        service = arn.split(":")[2] if arn.startswith("arn:") else ""
        if service == _LOGS:
            group = arn.partition(":log-group:")[2].removesuffix(":*")
            found.readable.append(LogGroup(clients(_LOGS), group, sending, since))
        elif service == _SQS:
            _add_queue(found, clients(_SQS), arn)
    return found


def _add_queue(found: Places, client: Any, arn: str) -> None:
    """Adds a queue to the places, or why it is left alone."""
    *_, account, name = arn.split(":")
    try:
        url = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
        told = client.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"]).get("Attributes", {})
    except AWS_ERRORS as error:
        found.notes.append(f"queue {name} can't be read ({_code(error)})")
        return
    if "RedrivePolicy" in told:
        found.notes.append(f"queue {name} is left alone: each look would count against its redrive policy")
        return
    found.readable.append(Queue(client, arn, url))


def _code(error: AwsError) -> str:
    return scrubbed(code_of(error) if isinstance(error, ClientError) else type(error).__name__)
