from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config

from currents_aws.boto3_transport import Boto3Transport
from currents_aws.crt_transport import CrtTransport
from currents_aws.custom_buses import CustomBuses
from currents_core.connecting.shown import subscriber_example
from currents_core.errors import SetupError, TransientError
from tests.tools.local_aws import LocalAws
from tests.tools.model_check import checked_client

ABSENT = "arn:aws:events:us-east-1:123456789012:event-busv2/absent/abcdefghijklmnopqrstuvwxy"


def client_of(endpoint: str) -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10)
    return boto3.Session().client("eventbridgev2", "us-east-1", endpoint_url=endpoint, config=config, **keys)  # type: ignore[call-overload]


@pytest.fixture(params=[CrtTransport, Boto3Transport])
def buses(aws: LocalAws, request: pytest.FixtureRequest) -> Iterator[CustomBuses]:
    transport = request.param(client_of(aws.endpoint))
    yield CustomBuses(transport)
    transport.close()


@pytest.fixture
def name() -> str:
    return f"bus-{uuid.uuid4()}"


def test_a_bus_is_created_once_and_active_in_a_moment(aws: LocalAws, buses: CustomBuses, name: str) -> None:
    assert buses.find(name) is None
    arn = buses.create(name, 30)
    assert arn
    assert buses.create(name, 30) is None
    assert buses.find(name) == buses.require(name) == arn
    found = buses.look(arn)
    assert (found.is_coming, found.days) == (True, 30)
    aws.forward(5)
    found = buses.look(arn)
    assert (found.state, found.is_coming) == ("ACTIVE", False)
    found.require_taking()


def test_how_long_it_keeps_events_is_left_to_aws_where_nobody_says(buses: CustomBuses, name: str) -> None:
    arn = buses.create(name, None)
    assert arn
    found = buses.look(arn)
    assert found.days is None


def test_two_at_once_create_one(buses: CustomBuses, name: str) -> None:
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(lambda _: buses.create(name, 1), range(4)))
    assert len([each for each in found if each]) == 1


def test_a_bus_is_found_among_many_by_its_whole_name(aws: LocalAws, buses: CustomBuses, name: str) -> None:
    for number in range(101):
        assert buses.create(f"{name}-{number:03}", 1)
    assert buses.find(name) is None
    arn = buses.create(f"{name}-z", 1)
    assert buses.find(f"{name}-z") == arn
    assert buses.find(f"{name}-100")
    # As the first of a page of its own.
    assert buses.create(name, 1)
    assert buses.find(name)


def test_what_is_being_deleted_does_not_count(aws: LocalAws, buses: CustomBuses, name: str) -> None:
    arn = buses.create(name, 1)
    aws.forward(5)
    aws.client("eventbridgev2").delete_event_bus(EventBusArn=arn)
    assert buses.find(name) is None
    assert arn
    found = buses.look(arn)
    with pytest.raises(SetupError, match=r"it is DELETING \(no reason told\); create it anew, or name another"):
        found.require_taking()


def test_a_bus_that_is_not_there_is_told_of(buses: CustomBuses, name: str) -> None:
    with pytest.raises(
        SetupError, match=r"absent/.*: lookup failed: ResourceNotFoundException: .*; create it or correct"
    ):
        buses.look(ABSENT)
    with pytest.raises(SetupError, match=f"custom bus {name}: there is no such bus in the region; create it with"):
        buses.require(name)


def test_a_name_that_several_buses_have_is_told_of(name: str) -> None:
    shared = [{"Name": name, "EventBusArn": f"arn:{number}", "State": "ACTIVE"} for number in (1, 2)]

    class Sharing(CustomBuses):
        def _listed(self, prefix: str, uri: str) -> Iterator[dict[str, str]]:
            yield from shared

    unused: Any = None
    with pytest.raises(SetupError, match="several buses have this name: arn:1, arn:2; give the ARN as destination"):
        Sharing(unused).find(name)


def test_a_refusal_is_one_line_with_a_remedy(buses: CustomBuses) -> None:
    with pytest.raises(SetupError, match="custom bus -: creation failed: InvalidInputException: "):
        buses.create("-", 1)


def test_a_region_without_custom_buses_is_told_of() -> None:
    transport = CrtTransport(client_of("http://eventsv2.mars-west-1.invalid"))
    try:
        with pytest.raises(
            TransientError, match=r"no answer .*; check the network, the endpoint, and whether the region"
        ):
            CustomBuses(transport).find("b")
    finally:
        transport.close()


def test_the_example_of_a_subscriber_works_once_its_names_are_filled_in(
    aws: LocalAws, buses: CustomBuses, name: str
) -> None:
    arn = buses.create(name, 1)
    assert arn
    aws.forward(5)
    program, service, command, *options = shlex.split(subscriber_example(arn).replace("\\\n", ""))
    assert (program, service, command) == ("aws", "eventsv2", "create-subscriber")
    told = dict(zip(options[::2], options[1::2], strict=True))
    made = checked_client(aws, "eventbridgev2").create_subscriber(
        Name=told["--name"],
        EventBusArn=told["--event-bus-arn"],
        InvokeConfiguration=json.loads(told["--invoke-configuration"]),
    )
    assert (told["--region"], made["State"]) == ("us-east-1", "RUNNING")
