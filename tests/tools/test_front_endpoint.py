"""Global endpoints in the front: their life, and requests to them, signed by botocore's own signer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.tools.global_endpoints import bus_in_both, create_endpoint, endpoint_parameters
from tests.tools.local_aws import LocalAws
from tests.tools.model_check import checked_client

ENTRY = {"Source": "s", "DetailType": "t", "Detail": "{}"}


@pytest.fixture
def name(aws: LocalAws) -> str:
    return bus_in_both(aws)


def code(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**parameters)
    return str(raised.value.response["Error"]["Code"])


def test_an_endpoint_is_created_active_found_and_deleted(aws: LocalAws, name: str) -> None:
    events = checked_client(aws, "events")
    made = events.create_endpoint(**endpoint_parameters(name))
    assert made["State"] == "CREATING"
    assert "EndpointId" not in made
    assert code(events.create_endpoint, **endpoint_parameters(name)) == "ResourceAlreadyExistsException"
    aws.forward(2)
    found = events.describe_endpoint(Name=name)
    assert (found["State"], found["EndpointUrl"]) == (
        "ACTIVE",
        f"https://{found['EndpointId']}.endpoint.events.amazonaws.com",
    )
    assert [each["EndpointId"] for each in events.list_endpoints(NamePrefix=name)["Endpoints"]] == [found["EndpointId"]]
    elsewhere = checked_client(aws, "events", "us-west-2")
    assert elsewhere.list_endpoints(NamePrefix=name)["Endpoints"] == []
    assert len(elsewhere.list_endpoints(NamePrefix=name, HomeRegion="us-east-1")["Endpoints"]) == 1
    events.delete_endpoint(Name=name)
    assert events.describe_endpoint(Name=name)["State"] == "DELETING"
    aws.forward(2)
    assert code(events.describe_endpoint, Name=name) == "ResourceNotFoundException"


def test_a_long_list_comes_in_pages(aws: LocalAws, name: str) -> None:
    events = checked_client(aws, "events")
    names = [f"{name[:40]}-{number}" for number in range(3)]
    for each in names:
        events.create_endpoint(**endpoint_parameters(name) | {"Name": each})
    first = events.list_endpoints(NamePrefix=name[:40], MaxResults=2)
    rest = events.list_endpoints(NamePrefix=name[:40], NextToken=first["NextToken"])
    assert [each["Name"] for each in first["Endpoints"] + rest["Endpoints"]] == names


def test_an_endpoint_needs_a_bus_of_one_name_in_each_region_and_a_role_to_replicate(aws: LocalAws, name: str) -> None:
    events, good = checked_client(aws, "events"), endpoint_parameters(name)
    first, second = good["EventBuses"]
    other_name = {"EventBusArn": second["EventBusArn"] + "-other"}
    for wrong in ([first, first], [first, other_name]):
        assert code(events.create_endpoint, **good | {"EventBuses": wrong}) == "ValidationException"
    assert code(events.create_endpoint, **good | {"ReplicationConfig": {"State": "ENABLED"}}) == "ValidationException"


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2"])
def test_events_go_to_the_bus_in_the_primary_region_from_wherever(aws: LocalAws, name: str, region: str) -> None:
    endpoint_id = create_endpoint(aws, name)
    entry = {**ENTRY, "EventBusName": f"arn:aws:events:us-west-2:123456789012:event-bus/{name}"}
    answer = checked_client(aws, "events", region).put_events(EndpointId=endpoint_id, Entries=[entry])
    assert (answer["FailedEntryCount"], aws.accepted()) == (0, [entry])
    assert aws.counts()["lost"] == 0


def test_a_bus_that_is_not_the_endpoints_is_refused_and_one_that_is_gone_loses_events(aws: LocalAws, name: str) -> None:
    endpoint_id, events = create_endpoint(aws, name), checked_client(aws, "events")
    entries = [{**ENTRY, "EventBusName": other} for other in ("default", name)]
    answer = events.put_events(EndpointId=endpoint_id, Entries=entries)
    assert [each.get("ErrorCode") for each in answer["Entries"]] == ["InvalidArgument", None]
    events.delete_event_bus(Name=name)
    events.put_events(EndpointId=endpoint_id, Entries=entries[1:])
    assert aws.counts()["lost"] == 1


def test_an_endpoint_that_is_not_there_takes_nothing(aws: LocalAws) -> None:
    events = checked_client(aws, "events")
    assert code(events.put_events, EndpointId="abcde.veo", Entries=[ENTRY]) == "ValidationException"


def test_an_endpoint_takes_only_what_is_signed_for_its_regions(aws: LocalAws, name: str) -> None:
    endpoint_id = create_endpoint(aws, name)
    put = {"EndpointId": endpoint_id, "Entries": [{**ENTRY, "EventBusName": name}]}
    # A client that is told its signature version keeps to it.
    for_one_region = checked_client(aws, "events", signature_version="v4")
    assert code(for_one_region.put_events, **put) == "IncompleteSignatureException"
    for regions, accepted in (("us-east-1,us-west-2", True), ("us-east-1", False)):
        client = checked_client(aws, "events", sigv4a_signing_region_set=regions)
        if accepted:
            client.put_events(**put)
        else:
            assert code(client.put_events, **put) == "InvalidSignatureException"
    headers = {"x-amz-target": "AWSEvents.PutEvents"}
    unsigned = httpx.post(aws.endpoint, json=put, headers=headers, trust_env=False)
    assert (unsigned.status_code, unsigned.json()["__type"]) == (403, "MissingAuthenticationTokenException")
    assert aws.counts()["accepted"] == 1


def test_a_word_in_an_event_makes_no_endpoint(aws: LocalAws, bus: str) -> None:
    entry = {**ENTRY, "EventBusName": bus, "Detail": '{"EndpointId":"abcde.veo"}'}
    aws.client("events").put_events(Entries=[entry])
    assert aws.accepted() == [entry]
