"""The IAM policies in docs/iam of exporters and readers, against the calls that whole runs and looks really make."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from botocore import xform_name
from botocore.session import Session

from currents_airflow.__main__ import main
from currents_airflow.cli import status
from currents_core.errors import DeliveryError
from currents_core.hour import format_hour
from currents_core.setup.settings import Connector
from tests.tools.airflow_env import ROOT
from tests.tools.aws_calls import Call, needs_of, record
from tests.tools.fault_plan import FaultPlan
from tests.tools.global_endpoints import ACCOUNT, PRIMARY, SECONDARY, bus_in_both, create_endpoint
from tests.tools.iam import EXAMPLES, IAM, Need, filled, grants, needless, unmet
from tests.tools.linting import complaints
from tests.tools.local_aws import LocalAws
from tests.tools.sample import make_files
from tests.tools.stage import put_files
from tests.tools.tasks import Tasks

EVENT_TYPES = ("users.messages.email.Open", "users.behaviors.Purchase")
ADAPTERS = ROOT / "include" / "currents_aws"
SOURCE_PREFIX, STATE_PREFIX = "currents/", "export/"
# What sets destinations up, before anything is exported.
SETTING_UP = {"own_bus.py", "event_log.py", "discoverer.py", "partner_offer.py", "customer_bus.py"}
# What is only used for some destinations, and what looks for test events, which no export sends.
APART = {"event_bus.py", "global_endpoint.py", "partner_source.py", "custom_bus.py", "custom_buses.py", "arrival.py"}
NO_EXPORT = SETTING_UP | APART


class Kind(NamedTuple):
    """What exports to one kind of destination call: the services, and the modules that only they use.

    ``others`` are the operations which are named in the code of these or all kinds, and which they don't call.
    """

    policy: str
    service: str
    modules: set[str]
    others: set[str]


KINDS = {
    "event_bus": Kind("exporter-event-bus.json", "events", {"event_bus.py"}, set()),
    "partner_source": Kind(
        "exporter-partner-source.json", "events", {"partner_source.py"}, {"PutEvents", "GetServiceQuota"}
    ),
    # Connecting creates custom buses.
    "custom_bus": Kind(
        "exporter-custom-bus.json",
        "eventbridgev2",
        {"custom_bus.py", "custom_buses.py"},
        {"CreateEventBus", "GetServiceQuota"},
    ),
}


def encrypted_bucket(aws: LocalAws, key: str) -> str:
    name, s3 = f"bucket-{uuid.uuid4()}", aws.client("s3")
    s3.create_bucket(Bucket=name)
    encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [encryption]})
    return name


@pytest.fixture
def values(aws: LocalAws) -> dict[str, str]:
    """What the placeholders of the exporters' policies stand for: buckets that are encrypted with keys."""
    kms = aws.client("kms")
    source_key, state_key = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    return {
        "Partition": "aws",
        "Region": PRIMARY,
        "SourceBucket": encrypted_bucket(aws, source_key),
        "SourcePrefix": SOURCE_PREFIX,
        "SourceKeyArn": source_key,
        "StateBucket": encrypted_bucket(aws, state_key),
        "StatePrefix": STATE_PREFIX,
        "StateKeyArn": state_key,
    }


def make_event_bus(aws: LocalAws) -> tuple[dict[str, Any], dict[str, str]]:
    name = f"bus-{uuid.uuid4()}"
    arn = aws.client("events").create_event_bus(Name=name)["EventBusArn"]
    return {"kind": "event_bus", "name": name}, {"BusArn": arn}


def make_partner_source(aws: LocalAws) -> tuple[dict[str, Any], dict[str, str]]:
    partner, events = str(uuid.uuid4()), aws.client("events")
    name = f"aws.partner/{partner}/orders/{ACCOUNT}"
    aws.register_partner()
    events.create_partner_event_source(Name=name, Account=ACCOUNT)
    events.create_event_bus(Name=name, EventSourceName=name)
    return {"kind": "partner_source", "account": ACCOUNT, "partner_name": partner}, {"SourceName": name}


def make_custom_bus(aws: LocalAws) -> tuple[dict[str, Any], dict[str, str]]:
    name = f"bus-{uuid.uuid4()}"
    arn = aws.client("eventbridgev2").create_event_bus(Name=name)["EventBusArn"]
    aws.forward(5)
    return {"kind": "custom_bus", "name": name}, {"BusArn": arn}


MAKE: dict[str, Callable[[LocalAws], tuple[dict[str, Any], dict[str, str]]]] = {
    "event_bus": make_event_bus,
    "partner_source": make_partner_source,
    "custom_bus": make_custom_bus,
}


def connector(values: Mapping[str, str], destination: Mapping[str, Any], **settings: Any) -> Connector:
    budget = {} if destination["kind"] == "event_bus" else {"budget": {"entries_per_second": 1_000}}
    retention = {"retention_days": settings.pop("retention_days")} if "retention_days" in settings else {}
    return Connector.model_validate(
        {
            "name": "orders",
            "source": {"bucket": values["SourceBucket"], "prefix": SOURCE_PREFIX, "aws_conn_id": None},
            "destination": {"region": PRIMARY, "aws_conn_id": None, **destination},
            "state": {"bucket": values["StateBucket"], "prefix": STATE_PREFIX, "aws_conn_id": None, **retention},
            "lookback_hours": 6,
            **budget,
            **settings,
        }
    )


def ago(**told: float) -> str:
    return format_hour(datetime.now(UTC) - timedelta(**told))


def run_everything(aws: LocalAws, values: Mapping[str, str], destination: Mapping[str, Any]) -> None:
    """All that runs of a connector do to AWS: what is new, refused, late, damaged, gone, compacted and ended."""
    settings = connector(values, destination)
    tasks, old, recent = Tasks(settings), ago(days=10), ago(days=5)

    put_files(aws, settings, make_files([old, recent], EVENT_TYPES, rows=40))
    aws.set_faults(FaultPlan(entry_refusal=0.5))
    tasks.export(old)
    aws.set_faults(FaultPlan())
    assert tasks.redrive(old)["sent"] > 0
    tasks.export(old, dry_run=True)
    tasks.export(old, replay=True, reason="the consumer lost it")

    export_damaged_file(aws, tasks, old)

    tasks.export(recent, is_scheduled=True)
    assert state_of(aws, settings, old) == {"days", "plans"}
    put_files(aws, settings, make_files([old], EVENT_TYPES, rows=40, first=1))
    tasks.export(old)
    end_state(aws, values, destination, old)


def run_in_brief(aws: LocalAws, values: Mapping[str, str], destination: Mapping[str, Any]) -> None:
    """Each call that exports make, once at least: for what is new, too large for an event, damaged, gone and ended."""
    settings, old = connector(values, destination, oversized="claim_check"), ago(days=10)
    put_files(aws, settings, make_files([old], EVENT_TYPES, rows=40))
    put_large_event(aws, settings, old)
    export_damaged_file(aws, Tasks(settings), old)
    assert "oversized" in state_of(aws, settings, old)
    end_state(aws, values, destination, old)


def export_damaged_file(aws: LocalAws, tasks: Tasks, hour: str) -> None:
    """Exports an hour with a damaged file, and once more when that is gone."""
    s3, key = aws.client("s3"), f"{SOURCE_PREFIX}event_type={EVENT_TYPES[0]}/date={hour}/damaged.parquet"
    bucket = tasks.connector.source.bucket
    s3.put_object(Bucket=bucket, Key=key, Body=b"PAR1")
    with pytest.raises(DeliveryError):
        tasks.export(hour)
    s3.delete_object(Bucket=bucket, Key=key)
    tasks.export(hour)


def put_large_event(aws: LocalAws, settings: Connector, hour: str) -> None:
    body, properties = BytesIO(), json.dumps({"cart": "x" * 1_100_000})
    pq.write_table(pa.table({"id": ["large"], "time": [1_795_420_802], "properties": [properties]}), body)
    key = f"{SOURCE_PREFIX}event_type={EVENT_TYPES[1]}/date={hour}/large.parquet"
    aws.client("s3").put_object(Bucket=settings.source.bucket, Key=key, Body=body.getvalue())


def end_state(aws: LocalAws, values: Mapping[str, str], destination: Mapping[str, Any], hour: str) -> None:
    settings = connector(values, destination, retention_days=7)
    Tasks(settings).export(ago(hours=3), is_scheduled=True)
    assert state_of(aws, settings, hour) == set()


def state_of(aws: LocalAws, settings: Connector, hour: str) -> set[str]:
    """The folders of the state that hold anything of the day of an hour."""
    root = f"{STATE_PREFIX}{settings.name}/"
    listed = aws.client("s3").list_objects_v2(Bucket=settings.state.bucket, Prefix=root)["Contents"]
    keys = [each["Key"].removeprefix(root) for each in listed]
    return {key.partition("/")[0] for key in keys if f"/date={hour[:10]}" in key and not key.startswith("replays/")}


def operations_of_the_adapters(kind: Kind) -> set[str]:
    """The operations of AWS that the code of the adapters names which exports to a kind of destination use."""
    paths = {path.name: path for path in ADAPTERS.glob("*.py")}
    assert paths.keys() > NO_EXPORT
    used = [path for name, path in paths.items() if name not in NO_EXPORT - kind.modules]
    words = {word for path in used for word in re.findall(r"\w+", path.read_text("utf-8"))}
    models = (Session().get_service_model(service) for service in ("s3", kind.service, "sts", "service-quotas"))
    known = {name for model in models for name in model.operation_names}
    return {name for name in known - kind.others if {name, xform_name(name)} & words}


def puts(calls: list[Call]) -> int:
    return sum(call.operation in ("PutEvents", "PutPartnerEvents") for call in calls)


@pytest.mark.parametrize("name", KINDS)
def test_the_exporter_is_granted_what_its_runs_need_and_nothing_else(
    aws: LocalAws, values: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind, (destination, named) = KINDS[name], MAKE[name](aws)
    calls = record(monkeypatch)
    # What exports do beside sending is the same for each kind.
    run = run_everything if name == "event_bus" else run_in_brief
    run(aws, values, destination)
    granted = grants(filled(kind.policy, values | named))
    assert puts(calls) == aws.counts()["requests"] > 0
    assert {call.operation for call in calls} == operations_of_the_adapters(kind), "the runs leave something out"
    needs = needs_of(calls)
    assert unmet(needs, granted) == []
    assert needless(needs, granted) == []
    # With a condition on the prefix, S3 would answer 403 for what is not there.
    for bucket in (values["SourceBucket"], values["StateBucket"]):
        assert Need("s3:ListBucket", f"arn:aws:s3:::{bucket}") in needs


OF_SENDING = {"Send", "LookUpQuota", "LookAtSource", "FindBus"}


def test_what_is_not_of_sending_is_the_same_for_exporters_of_every_kind() -> None:
    policies = [json.loads((IAM / kind.policy).read_text("utf-8")) for kind in KINDS.values()]
    rest = [[each for each in policy["Statement"] if each["Sid"] not in OF_SENDING] for policy in policies]
    assert [each["Sid"] for each in rest[0]] == [
        "ListBuckets",
        "ReadSource",
        "KeepState",
        "UseSourceKey",
        "UseStateKey",
    ]
    assert rest[1:] == rest[:1] * (len(rest) - 1)


def test_over_a_global_endpoint_the_exporter_needs_a_second_policy_and_all_of_it(
    aws: LocalAws, values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = bus_in_both(aws)
    settings = connector(values, {"kind": "event_bus", "name": bus, "endpoint_id": create_endpoint(aws, bus)})
    hour = ago(days=1)
    put_files(aws, settings, make_files([hour], EVENT_TYPES, rows=40))
    calls = record(monkeypatch)
    Tasks(settings).export(hour)
    assert {"ListEndpoints", "PutEvents"} <= {call.operation for call in calls}
    needs = needs_of(calls)
    arns = [f"arn:aws:events:{region}:{ACCOUNT}:event-bus/{bus}" for region in (PRIMARY, SECONDARY)]
    plain = grants(filled("exporter-event-bus.json", values | {"BusArn": arns[0]}))
    beside = grants(filled("exporter-global-endpoint.json", {"OtherBusArn": arns[1]}))
    assert unmet(needs, plain + beside) == []
    assert needless(unmet(needs, plain), beside) == []


def test_the_reader_is_granted_what_the_delivery_page_needs_and_nothing_else(
    aws: LocalAws, values: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page asks what the commands ask, and so does its own process for long questions."""
    settings, old, recent = connector(values, make_event_bus(aws)[0]), ago(days=10), ago(days=5)
    put_files(aws, settings, make_files([old, recent], EVENT_TYPES, rows=40))
    aws.set_faults(FaultPlan(entry_refusal=0.5))
    Tasks(settings).export(old)
    aws.set_faults(FaultPlan())
    Tasks(settings).export(recent, is_scheduled=True)
    assert state_of(aws, settings, old) == {"days", "plans"}

    path = tmp_path / "connectors.yaml"
    path.write_text(yaml.safe_dump({"connectors": [settings.model_dump(mode="json", exclude_unset=True)]}))
    monkeypatch.setenv("CURRENTS_CONNECTORS", str(path))
    monkeypatch.setattr(status, "live_runs", lambda _: [])
    calls = record(monkeypatch)
    wanted = next(make_files([old], EVENT_TYPES, rows=40)).table["id"][7].as_py()
    for words in (
        ["status"],
        ["find", wanted],
        ["find", wanted, "--day", old[:10], "--source"],
        ["letters", old],
        ["source", "--day", recent[:10]],
    ):
        with suppress(SystemExit):
            main(words)
    needs = needs_of(calls)
    granted = grants(filled("reader.json", values))
    assert unmet(needs, granted) == []
    assert needless(needs, granted) == []


@pytest.mark.parametrize("name", sorted(path.name for path in IAM.iterdir()))
def test_a_policy_names_actions_and_resources_that_aws_knows(name: str) -> None:
    policy = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": filled(name, EXAMPLES)}}
    assert complaints(json.dumps({"Resources": {"Policy": policy}})) == []
