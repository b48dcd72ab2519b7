"""Subscribers of custom buses: what has their events delivered, to SQS queues of moto's.

A model of local AWS: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_CreateSubscriber.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from tests.tools.front_api import ACCOUNT, Call, Handler, Tokens, new_arn, only, page
from tests.tools.front_clock import Clock
from tests.tools.front_custom_buses import CustomBus, CustomBuses, Subscriber
from tests.tools.front_moto import Moto
from tests.tools.front_wire import Refused

SEND_MESSAGE = "AmazonSQS.SendMessage"
SQS_ARN = "arn:aws:sqs:"
DEFAULTS = {"Type": "UNORDERED", "StartingPosition": "LATEST", "State": "RUNNING"}
KEPT = ("Name", "EventBusArn", "InvokeConfiguration", "Description")
# What else a subscriber may be told would have to be modelled; a double that took it and did otherwise would lie.
MODELLED = {*KEPT, *DEFAULTS, "Tags", "ClientToken"}
UNMODELLED = ("FIFO", "POINT_IN_TIME")
CREATED = ("SubscriberArn", "Name", "EventBusArn", "Type", "StartingPosition", "State", "CreationTime")
LISTED = ("SubscriberArn", "Name", "EventBusArn", "Type", "Revoked", "State", "CreationTime", "LastModifiedTime")


class Subscribers:
    """The subscribers of all buses."""

    def __init__(self, buses: CustomBuses, clock: Clock, moto: Moto) -> None:
        self._buses = buses
        self._clock = clock
        self._moto = moto
        self._tokens = Tokens()

    def handlers(self) -> dict[str, Handler]:
        """The operations, by name."""
        return {
            "CreateSubscriber": self.create,
            "DescribeSubscriber": self.describe,
            "ListSubscribers": self.list,
            "DeleteSubscriber": self.delete,
        }

    async def create(self, call: Call) -> dict[str, Any]:
        """CreateSubscriber: without order, from now on, and to an SQS queue. What else it may be is refused by name."""
        answered = self._tokens.answered(call)
        if answered:
            return answered
        _check_modelled(call)
        bus = self._buses.active(call["EventBusArn"], call.region)
        if any(each.told["Name"] == call["Name"] for each in bus.subscribers.values()):
            raise Refused("ResourceAlreadyExistsException", f"Subscriber {call['Name']} already exists.")
        told = call.chosen(*KEPT) | DEFAULTS | call.chosen(*DEFAULTS)
        subscriber = Subscriber(new_arn("subscriber", call), bus.arn, self._clock.now(), told)
        bus.subscribers[subscriber.arn] = subscriber
        return self._tokens.note(call, only(subscriber.describe(), CREATED))

    async def describe(self, call: Call) -> dict[str, Any]:
        """DescribeSubscriber."""
        return self._find(call).describe()

    async def list(self, call: Call) -> dict[str, Any]:
        """ListSubscribers, of one bus or of all."""
        arn, prefix = call.get("EventBusArn"), call.get("NamePrefix") or ""
        found = [
            {**only(each.describe(), LISTED), "TargetArn": each.queue, "SubscriberAccountId": ACCOUNT}
            for bus in ([self._buses.find(arn, call.region)] if arn else self._buses.there(call.region))
            for each in bus.subscribers.values()
            if each.told["Name"].startswith(prefix)
        ]
        subscribers, more = page(found, call, "MaxResults")
        return {"Subscribers": subscribers, **more}

    async def delete(self, call: Call) -> dict[str, Any]:
        """DeleteSubscriber."""
        subscriber = self._find(call)
        del self._buses.find(subscriber.bus, call.region).subscribers[subscriber.arn]
        return {}

    def _find(self, call: Call) -> Subscriber:
        for bus in self._buses.there(call.region):
            if call["SubscriberArn"] in bus.subscribers:
                return bus.subscribers[call["SubscriberArn"]]
        raise Refused("ResourceNotFoundException", f"Subscriber {call['SubscriberArn']} does not exist.")

    async def deliver(self, bus: CustomBus, events: Sequence[dict[str, Any]]) -> int:
        """Sends events to the queue of each running subscriber. Returns how many of them a queue did not take."""
        failed = 0
        for subscriber in bus.subscribers.values():
            if subscriber.told["State"] == "RUNNING":
                for event in events:
                    failed += not await self._send(subscriber.queue, event)
        return failed

    async def _send(self, arn: str, event: dict[str, Any]) -> bool:
        *_, region, account, queue = arn.split(":")
        content = {"QueueUrl": f"{self._moto.url}/{account}/{queue}", "MessageBody": orjson.dumps(event).decode()}
        answer = await self._moto.call("sqs", region, SEND_MESSAGE, content)
        return answer.status_code == 200


def _check_modelled(call: Call) -> None:
    """Raises Refused, with the name of it, where a subscriber is to be what is not modelled."""
    target = call["InvokeConfiguration"]
    unmodelled = sorted(call.parameters.keys() - MODELLED) + sorted(target.keys() - {"RoleArn", "TargetArn"})
    unmodelled += [value for value in call.chosen(*DEFAULTS).values() if value in UNMODELLED]
    if not target["TargetArn"].startswith(SQS_ARN) or target["TargetArn"].endswith(".fifo"):
        unmodelled.append(f"the target {target['TargetArn']}")
    if unmodelled:
        raise Refused(call.invalid, f"Local AWS does not model {unmodelled[0]} of a subscriber.")
