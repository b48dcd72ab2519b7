"""What people are shown who have to do something themselves: in the customer's console, or to receive first events."""

from __future__ import annotations

import json
from shlex import join


def customer_steps(source: str, account: str, region: str, console: str) -> str:
    """The steps by which a customer accepts a partner event source. ``console`` is the address of the page of sources.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-saas.html
    """
    return "\n".join(
        [
            f"In AWS account {account}, region {region}, somebody has to:",
            f"  1. open {console}",
            f'  2. choose {source}, and press "Associate with event bus"',
            '  3. leave the permissions as they are, and press "Associate"; a bus of the same name then exists',
        ]
    )


def subscriber_example(bus: str) -> str:
    """A command that has the events of the custom bus with this ARN delivered to a queue, but for two names in it.

    Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_CreateSubscriber.html
    """
    _, partition, _, region, account, _ = bus.split(":", 5)
    target = {
        "RoleArn": f"arn:{partition}:iam::{account}:role/ROLE",
        "TargetArn": f"arn:{partition}:sqs:{region}:{account}:QUEUE",
    }
    lines = [
        ["aws", "eventsv2", "create-subscriber", "--region", region, "--name", "braze-to-queue"],
        ["--event-bus-arn", bus],
        ["--invoke-configuration", json.dumps(target)],
    ]
    return " \\\n  ".join(map(join, lines))
