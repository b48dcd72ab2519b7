"""The IAM policies in docs/iam, against the calls that whole runs really make."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.session import Session
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from currents_aws.choose_transport import transport_for
from currents_aws.event_bus import EventBus
from currents_aws.try_destination import try_destination
from currents_core.crew import Threads
from currents_core.errors import DeliveryError
from currents_core.hour import format_hour
from currents_core.setup.settings import Connector
from currents_core.shaping.registries import schema_name
from tests.tools.airflow_env import ROOT
from tests.tools.aws_calls import needs_of, record
from tests.tools.connecting import Connecting
from tests.tools.fault_plan import FaultPlan
from tests.tools.global_endpoints import ACCOUNT, PRIMARY, SECONDARY, bus_in_both, create_endpoint
from tests.tools.iam import IAM, Need, filled, grants, needless, unmet
from tests.tools.linting import complaints
from tests.tools.local_aws import LocalAws
from tests.tools.sample import make_files
from tests.tools.stage import put_files
from tests.tools.tasks import Tasks

EVENT_TYPES = ("users.messages.email.Open", "users.behaviors.Purchase")
ADAPTERS = ROOT / "include" / "currents_aws"
# What exports to other destinations than an event bus of one region call.
OF_OTHER_KINDS = {"partner_source.py", "global_endpoint.py"}
# Looks for test events, which no export sends.
OF_TESTS = {"arrival.py"}
# What sets destinations up, before anything is exported.
SETTING_UP = {
    "own_bus.py",
    "event_log.py",
    "discoverer.py",
    "partner_offer.py",
    "customer_bus.py",
    "custom_buses.py",
}
NO_EXPORT = SETTING_UP | OF_OTHER_KINDS | OF_TESTS
SOURCE_PREFIX, STATE_PREFIX = "currents/", "export/"


def encrypted_bucket(aws: LocalAws, key: str) -> str:
    name, s3 = f"bucket-{uuid.uuid4()}", aws.client("s3")
    s3.create_bucket(Bucket=name)
    encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [encryption]})
    return name


@pytest.fixture
def values(aws: LocalAws, bus: str) -> dict[str, str]:
    """What the placeholders of the exporter's policy stand for: buckets that are encrypted with keys, and a bus."""
    kms = aws.client("kms")
    source_key, state_key = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    return {
        "Partition": "aws",
        "SourceBucket": encrypted_bucket(aws, source_key),
        "SourcePrefix": SOURCE_PREFIX,
        "SourceKeyArn": source_key,
        "StateBucket": encrypted_bucket(aws, state_key),
        "StatePrefix": STATE_PREFIX,
        "StateKeyArn": state_key,
        "BusArn": f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/{bus}",
    }


def connector(values: Mapping[str, str], bus: str, *, endpoint_id: str | None = None, **state: Any) -> Connector:
    return Connector.model_validate(
        {
            "name": "orders",
            "source": {"bucket": values["SourceBucket"], "prefix": SOURCE_PREFIX, "aws_conn_id": None},
            "destination": {
                "kind": "event_bus",
                "name": bus,
                "region": "us-east-1",
                "aws_conn_id": None,
                "endpoint_id": endpoint_id,
            },
            "state": {"bucket": values["StateBucket"], "prefix": STATE_PREFIX, "aws_conn_id": None, **state},
            "lookback_hours": 24,
        }
    )


def ago(**told: float) -> str:
    return format_hour(datetime.now(UTC) - timedelta(**told))


def run_everything(aws: LocalAws, values: Mapping[str, str], bus: str) -> None:
    """All that runs of a connector do to AWS: what is new, refused, late, damaged, gone, compacted and ended."""
    settings = connector(values, bus)
    tasks, old, recent = Tasks(settings), ago(days=10), ago(days=5)
    s3, damaged = aws.client("s3"), f"{SOURCE_PREFIX}event_type={EVENT_TYPES[0]}/date={old}/damaged.parquet"

    put_files(aws, settings, make_files([old, recent], EVENT_TYPES, rows=40))
    aws.set_faults(FaultPlan(entry_refusal=0.5))
    tasks.export(old)
    aws.set_faults(FaultPlan())
    assert tasks.redrive(old)["sent"] > 0
    tasks.export(old, dry_run=True)
    tasks.export(old, replay=True, reason="the consumer lost it")

    s3.put_object(Bucket=settings.source.bucket, Key=damaged, Body=b"PAR1")
    with pytest.raises(DeliveryError):
        tasks.export(old)
    s3.delete_object(Bucket=settings.source.bucket, Key=damaged)
    tasks.export(old)

    tasks.export(recent, is_scheduled=True)
    assert state_of(aws, settings, old) == {"days"}
    put_files(aws, settings, make_files([old], EVENT_TYPES, rows=40, first=1))
    tasks.export(old)

    Tasks(connector(values, bus, retention_days=7)).export(ago(hours=3), is_scheduled=True)
    assert state_of(aws, settings, old) == set()


def state_of(aws: LocalAws, settings: Connector, hour: str) -> set[str]:
    """The folders of the state that hold anything of the day of an hour."""
    root = f"{STATE_PREFIX}{settings.name}/"
    listed = aws.client("s3").list_objects_v2(Bucket=settings.state.bucket, Prefix=root)["Contents"]
    keys = [each["Key"].removeprefix(root) for each in listed]
    return {key.partition("/")[0] for key in keys if f"/date={hour[:10]}" in key and not key.startswith("replays/")}


def operations_of_the_adapters() -> set[str]:
    """The operations of AWS that the code of the adapters names which exports use."""
    assert {path.name for path in ADAPTERS.glob("*.py")} > NO_EXPORT
    paths = [path for path in ADAPTERS.glob("*.py") if path.name not in NO_EXPORT]
    words = {word for path in paths for word in re.findall(r"\w+", path.read_text("utf-8"))}
    models = (Session().get_service_model(service) for service in ("s3", "events", "sts", "service-quotas"))
    known = [name for model in models for name in model.operation_names]
    return {name for name in known if {name, xform_name(name)} & words}


def test_the_exporter_is_granted_what_its_runs_need_and_nothing_else(
    aws: LocalAws, values: dict[str, str], bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    run_everything(aws, values, bus)
    granted = grants(filled("exporter-event-bus.json", values))
    assert sum(call.operation == "PutEvents" for call in calls) == aws.counts()["requests"] > 0
    assert {call.operation for call in calls} == operations_of_the_adapters(), "the runs leave something out"
    needs = needs_of(calls)
    assert unmet(needs, granted) == []
    assert needless(needs, granted) == []
    # With a condition on the prefix, S3 would answer 403 for what is not there.
    for bucket in (values["SourceBucket"], values["StateBucket"]):
        assert Need("s3:ListBucket", f"arn:aws:s3:::{bucket}") in needs


def test_over_a_global_endpoint_the_exporter_needs_a_second_policy_and_all_of_it(
    aws: LocalAws, values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = bus_in_both(aws)
    settings = connector(values, bus, endpoint_id=create_endpoint(aws, bus))
    put_files(aws, settings, make_files([ago(days=1)], EVENT_TYPES, rows=40))
    calls = record(monkeypatch)
    Tasks(settings).export(ago(days=1))
    assert {"ListEndpoints", "PutEvents"} <= {call.operation for call in calls}
    needs = needs_of(calls)
    arns = [f"arn:aws:events:{region}:{ACCOUNT}:event-bus/{bus}" for region in (PRIMARY, SECONDARY)]
    plain = grants(filled("exporter-event-bus.json", values | {"BusArn": arns[0]}))
    beside = grants(filled("exporter-global-endpoint.json", {"OtherBusArn": arns[1]}))
    assert unmet(needs, plain + beside) == []
    assert needless(unmet(needs, plain), beside) == []


def test_looking_for_test_events_takes_all_that_its_policy_grants(
    aws: LocalAws, values: dict[str, str], bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs, sqs, events, name = aws.client("logs"), aws.client("sqs"), aws.client("events"), f"tests-{uuid.uuid4()}"
    logs.create_log_group(logGroupName=name)
    sqs.create_queue(QueueName=name)
    queue, group = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}", f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{name}"
    events.put_rule(Name=name, EventBusName=bus, EventPattern='{"source":["braze.currents"]}')
    for number, arn in enumerate((queue, group)):
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": str(number), "Arn": arn}])
    target = EventBus(aws.client("events"), transport_for(aws.client("events")), bus)
    calls = record(monkeypatch)
    session: Any = boto3.Session()
    found = try_destination(connector(values, bus), target, session.client, Threads(), seconds=5)
    target.close()
    assert {each.is_warning for each in found.findings} == {False}
    needs = needs_of(calls)
    placeholders = EXAMPLES | {"BusName": bus, "QueueArn": queue, "LogGroupArn": group}
    granted = grants(filled("look-for-arrival.json", placeholders))
    assert unmet(needs, granted) == []
    assert needless(needs, granted) == []


# What stands for a placeholder where a policy is only looked at.
EXAMPLES = {
    "Partition": "aws",
    "SourceBucket": "braze",
    "SourcePrefix": "currents/",
    "SourceKeyArn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1",
    "StateBucket": "state",
    "StatePrefix": "",
    "StateKeyArn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/2",
    "BusArn": f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/braze-events",
    "OtherBusArn": f"arn:aws:events:us-west-2:{ACCOUNT}:event-bus/braze-events",
    "Region": "us-east-1",
    "AccountId": ACCOUNT,
    "BusName": "braze-events",
    "QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders",
    "LogGroupArn": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/events/braze-events",
    "SourceName": "aws.partner/example.com/acme/currents",
}


@pytest.mark.parametrize("name", sorted(path.name for path in IAM.iterdir()))
def test_a_policy_names_actions_and_resources_that_aws_knows(name: str) -> None:
    policy = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": filled(name, EXAMPLES)}}
    assert complaints(json.dumps({"Resources": {"Policy": policy}})) == []


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
    place = {"RegistryName": registry, "SchemaName": schema_name(EVENT_TYPES[1], run.connector.event_source)}
    aws.client("schemas").update_schema(**place, Content="{}", Type="JSONSchemaDraft4")
    assert run.step("publish", **asked) == {"updated": 1}


def connecting(destination: Mapping[str, Any]) -> Connecting:
    settings = {
        "name": "orders",
        "source": {"bucket": "braze", "prefix": "in", "aws_conn_id": None},
        "destination": {"region": "us-east-1", "aws_conn_id": None, **destination},
        "state": {"bucket": "state", "aws_conn_id": None},
        "event_types": {"include": [EVENT_TYPES[1]]},
        "budget": {"entries_per_second": 100},
    }
    return Connecting(Connector.model_validate(settings))


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
    aws.forward(1)
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
