"""Makes global endpoints in local AWS, with the bus of one name in both of their regions."""

from __future__ import annotations

import uuid
from typing import Any

import boto3

from tests.tools.local_aws import CREDENTIALS, LocalAws

PRIMARY, SECONDARY = "us-east-1", "us-west-2"
ACCOUNT = "123456789012"  # moto's


def client_in(aws: LocalAws, region: str) -> Any:
    """A client of EventBridge in a region."""
    return boto3.client(
        "events",
        endpoint_url=aws.endpoint,
        region_name=region,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


def bus_in_both(aws: LocalAws) -> str:
    """The name of a new bus, which both regions have."""
    name = f"bus-{uuid.uuid4()}"
    for region in (PRIMARY, SECONDARY):
        client_in(aws, region).create_event_bus(Name=name)
    return name


def endpoint_parameters(bus: str) -> dict[str, Any]:
    """What CreateEndpoint takes for a bus; the endpoint has the bus's name."""
    arns = [f"arn:aws:events:{region}:{ACCOUNT}:event-bus/{bus}" for region in (PRIMARY, SECONDARY)]
    return {
        "Name": bus,
        "RoutingConfig": {
            "FailoverConfig": {
                "Primary": {"HealthCheck": f"arn:aws:route53:::healthcheck/{uuid.uuid4()}"},
                "Secondary": {"Route": SECONDARY},
            }
        },
        "ReplicationConfig": {"State": "DISABLED"},
        "EventBuses": [{"EventBusArn": arn} for arn in arns],
    }


def create_endpoint(aws: LocalAws, bus: str) -> str:
    """The id of a new endpoint for a bus, ACTIVE: the clock of local AWS goes on by some seconds."""
    events = client_in(aws, PRIMARY)
    events.create_endpoint(**endpoint_parameters(bus))
    aws.forward(2)
    return str(events.describe_endpoint(Name=bus)["EndpointId"])
