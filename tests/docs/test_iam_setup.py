"""The IAM policies in docs/iam of whoever sets destinations up, and looks for events, against the calls they make."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import boto3
import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from currents_aws.choose_transport import transport_for
from currents_aws.custom_bus import CustomBus
from currents_aws.event_bus import EventBus
from currents_aws.try_destination import try_destination
from currents_core.crew import Threads
from currents_core.ports import Target
from currents_core.setup.settings import Connector
from currents_core.shaping.registries import schema_name
from tests.tools.aws_calls import needs_of, record
from tests.tools.connecting import Connecting
from tests.tools.global_endpoints import ACCOUNT
from tests.tools.iam import EXAMPLES, filled, grants, needless, unmet
from tests.tools.local_aws import LocalAws

EVENT_TYPE = "users.behaviors.Purchase"


def make_queue(aws: LocalAws) -> str:
    name = f"tests-{uuid.uuid4()}"
    aws.client("sqs").create_queue(QueueName=name)
    return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"


def looks(settings: Connector, target: Target) -> bool:
    """Tries a destination, and looks for what was sent; whether all of it was seen."""
    session: Any = boto3.Session()
    found = try_destination(settings, target, session.client, Threads(), seconds=5)
    target.close()
    return {each.is_warning for each in found.findings} == {False}


def test_looking_for_test_events_takes_all_that_its_policy_grants(
    aws: LocalAws, bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs, events, name = aws.client("logs"), aws.client("events"), f"tests-{uuid.uuid4()}"
    logs.create_log_group(logGroupName=name)
    queue, group = make_queue(aws), f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{name}"
    events.put_rule(Name=name, EventBusName=bus, EventPattern='{"source":["braze.currents"]}')
    for number, arn in enumerate((queue, group)):
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": str(number), "Arn": arn}])
    target = EventBus(events, transport_for(events), bus)
    calls = record(monkeypatch)
    assert looks(connector({"kind": "event_bus", "name": bus}), target)
    needs = needs_of(calls)
    placeholders = EXAMPLES | {"BusName": bus, "QueueArn": queue, "LogGroupArn": group}
    granted = grants(filled("look-for-arrival.json", placeholders))
    assert unmet(needs, granted) == []
    assert needless(needs, granted) == []


def test_looking_for_test_events_of_a_custom_bus_takes_all_that_its_policy_grants(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    buses, name, queue = aws.client("eventbridgev2"), f"tests-{uuid.uuid4()}", make_queue(aws)
    bus = buses.create_event_bus(Name=name)["EventBusArn"]
    aws.forward(5)
    invoke = {"TargetArn": queue, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/subscriber"}
    buses.create_subscriber(Name=name, EventBusArn=bus, InvokeConfiguration=invoke)
    target = CustomBus(transport_for(buses), bus)
    calls = record(monkeypatch)
    assert looks(connector({"kind": "custom_bus", "name": bus}), target)
    granted = grants(filled("look-for-arrival-custom-bus.json", EXAMPLES | {"QueueArn": queue}))
    needs = needs_of(calls)
    assert unmet(needs, granted) == []
    assert needless(needs, granted) == []


# The bus of the template has no resource policy.
NOT_NEEDED = {"events:PutPermission", "events:RemovePermission"}


@pytest.mark.parametrize("resource", ["EventBus", "Archive", "Rule"])
def test_the_setter_up_is_granted_what_cloudformation_asks_for(resource: str) -> None:
    """CloudFormation's own schemas tell what it needs to make, look up, change and remove a resource."""
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", f"AWS::Events::{resource}").schema["handlers"]
    asked = {each for does, told in handlers.items() if does != "list" for each in told["permissions"]}
    asked = {each for each in asked if each.startswith("events:")} - NOT_NEEDED
    kinds = {"EventBus": "event-bus", "Archive": "archive", "Rule": "rule"}
    granted = grants(filled("setter-up-event-bus.json", EXAMPLES))
    found = {each.action for each in granted if each.resource.split(":", 5)[-1].startswith(kinds[resource])}
    # An archive is made on a bus: the service asks for the permission on both.
    assert found == asked | ({"events:CreateArchive"} if resource == "EventBus" else set())


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a schema registry that is not there yet."""
    prefix = f"braze-currents-{uuid.uuid4()}"
    monkeypatch.setattr("currents_core.connecting.names.REGISTRY_PREFIX", prefix)
    return f"{prefix}-other"


def publish(aws: LocalAws, run: Connecting, registry: str) -> None:
    """Publishes a schema that is new, unchanged and changed."""
    asked = {"publish_schemas": True}
    assert [run.step("publish", **asked), run.step("publish", **asked)] == [{"created": 1}, {"unchanged": 1}]
    place = {"RegistryName": registry, "SchemaName": schema_name(EVENT_TYPE, run.connector.event_source)}
    aws.client("schemas").update_schema(**place, Content="{}", Type="JSONSchemaDraft4")
    assert run.step("publish", **asked) == {"updated": 1}


def connector(destination: Mapping[str, Any]) -> Connector:
    settings = {
        "name": "orders",
        "source": {"bucket": "braze", "prefix": "in", "aws_conn_id": None},
        "destination": {"region": "us-east-1", "aws_conn_id": None, **destination},
        "state": {"bucket": "state", "aws_conn_id": None},
        "event_types": {"include": [EVENT_TYPE]},
        "budget": {"entries_per_second": 100},
    }
    return Connector.model_validate(settings)


def connecting(destination: Mapping[str, Any]) -> Connecting:
    return Connecting(connector(destination))


def set_up(run: Connecting, **fields: Any) -> None:
    """Runs all steps but those that try what an export does, which take the exporter's permissions."""
    for name in run.steps:
        if name not in {"check", "test"}:
            assert run.step(name, **fields) is not False, name


def test_the_setter_up_of_an_event_bus_is_granted_what_the_connect_dag_needs(
    aws: LocalAws, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, source = f"bus-{uuid.uuid4()}", str(uuid.uuid4())
    calls = record(monkeypatch)
    run = connecting({"kind": "event_bus", "name": name, "source": source})
    for days in (7, 30):
        set_up(run, archive_days=days, log_events=True, discover_schemas=True)
    stop_discovery(aws, f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/{name}")
    run.step("discover", discover_schemas=True)
    publish(aws, run, registry)
    granted, needs = grants(filled("setter-up-event-bus.json", EXAMPLES | {"BusName": name})), needs_of(calls)
    assert unmet(needs, granted) == []
    # Buses, archives and rules are also set up by the CloudFormation template, which needs more.
    assert [each for each in needless(needs, granted) if not each.action.startswith("events:")] == []


def stop_discovery(aws: LocalAws, bus: str) -> None:
    schemas = aws.client("schemas")
    for each in schemas.list_discoverers(SourceArnPrefix=bus)["Discoverers"]:
        schemas.stop_discoverer(DiscovererId=each["DiscovererId"])


def test_the_setter_up_of_a_custom_bus_is_granted_what_the_connect_dag_needs_and_nothing_else(
    aws: LocalAws, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, source = f"bus-{uuid.uuid4()}", str(uuid.uuid4())
    calls = record(monkeypatch)
    run = connecting({"kind": "custom_bus", "name": name, "source": source})
    run.step("create", retention_days=7)
    aws.forward(5)
    set_up(run)
    publish(aws, run, registry)
    granted, needs = grants(filled("setter-up-custom-bus.json", EXAMPLES | {"BusName": name})), needs_of(calls)
    assert unmet(needs, granted) == []
    assert needless(needs, granted) == []


def test_a_partner_and_a_customer_are_granted_what_it_takes_to_agree_on_a_source(
    aws: LocalAws, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the connect DAG does on both sides, and the steps by which either of them ends it.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-saas.html.
    """
    partner = str(uuid.uuid4())
    aws.register_partner()
    monkeypatch.setenv("AIRFLOW_CONN_CUSTOMER", "aws://")
    calls = record(monkeypatch)
    told = {"kind": "partner_source", "account": ACCOUNT, "partner_name": partner, "customer_conn_id": "customer"}
    run, events = connecting(told), boto3.client("events")
    name = run.connector.destination_name
    set_up(run, discover_schemas=True)
    aws.client("events").deactivate_event_source(Name=name)
    set_up(run)
    stop_discovery(aws, f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/{name}")
    run.step("discover", discover_schemas=True)
    publish(aws, run, registry)
    events.delete_event_bus(Name=name)
    events.delete_partner_event_source(Name=name, Account=ACCOUNT)
    of_partner = [call for call in calls if "Partner" in call.operation]
    of_customer = [call for call in calls if "Partner" not in call.operation]
    for policy, made in (("partner.json", of_partner), ("customer.json", of_customer)):
        granted, needs = grants(filled(policy, EXAMPLES | {"SourceName": name})), needs_of(made)
        assert unmet(needs, granted) == []
        assert needless(needs, granted) == []
