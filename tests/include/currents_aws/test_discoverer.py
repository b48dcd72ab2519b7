from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from currents_aws.discoverer import discover_schemas
from tests.tools.local_aws import LocalAws
from tests.tools.model_check import checked_client


@pytest.fixture
def client(aws: LocalAws) -> Any:
    return checked_client(aws, "schemas")


@pytest.fixture
def arn(bus: str) -> str:
    return f"arn:aws:events:us-east-1:123456789012:event-bus/{bus}"


def states(client: Any, arn: str) -> list[str]:
    return [each["State"] for each in client.list_discoverers(SourceArnPrefix=arn)["Discoverers"]]


def test_a_bus_gets_one_discoverer_which_is_started_where_it_stopped(client: Any, arn: str) -> None:
    # Its ARN begins with that of the other.
    client.create_discoverer(SourceArn=f"{arn}-2")
    assert [discover_schemas(client, arn), discover_schemas(client, arn)] == ["created", "unchanged"]
    [unique] = [
        each["DiscovererId"]
        for each in client.list_discoverers(SourceArnPrefix=arn)["Discoverers"]
        if each["SourceArn"] == arn
    ]
    client.stop_discoverer(DiscovererId=unique)
    assert discover_schemas(client, arn) == "started"
    assert states(client, arn) == ["STARTED", "STARTED"]


def test_two_at_once_create_one(client: Any, arn: str) -> None:
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(lambda _: discover_schemas(client, arn), range(4)))
    assert found.count("created") == 1
    assert states(client, arn) == ["STARTED"]
