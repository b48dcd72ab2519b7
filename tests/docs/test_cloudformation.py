"""The CloudFormation template: it can be deployed, an export runs into its bus, and its role is what docs/iam says."""

from __future__ import annotations

import uuid
from ast import literal_eval
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml

from currents_core.setup.connectors_file import load_connectors
from tests.tools.airflow_env import ROOT
from tests.tools.aws_calls import needs_of, record
from tests.tools.global_endpoints import ACCOUNT
from tests.tools.iam import Need, filled, grants, unmet
from tests.tools.linting import complaints
from tests.tools.local_aws import LocalAws
from tests.tools.sample import make_files
from tests.tools.stage import put_files
from tests.tools.tasks import Tasks

TEMPLATE = ROOT / "docs" / "cloudformation.yaml"
HOUR = "2026-11-23-08"
OPEN = "users.messages.email.Open"


class Stack:
    """The template, deployed with parameters."""

    def __init__(self, aws: LocalAws, **parameters: str) -> None:
        self._aws = aws
        self._cloudformation = aws.client("cloudformation")
        self.name = f"stack-{uuid.uuid4()}"
        self.parameters = {
            "BusName": f"bus-{uuid.uuid4()}",
            "ExporterPrincipal": f"arn:aws:iam::{ACCOUNT}:role/airflow",
            **parameters,
        }
        self._cloudformation.create_stack(
            StackName=self.name,
            TemplateBody=TEMPLATE.read_text("utf-8"),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )

    def outputs(self) -> dict[str, str]:
        [stack] = self._cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def resources(self) -> dict[str, str]:
        """The names of its resources, by their names in the template."""
        listed = self._cloudformation.list_stack_resources(StackName=self.name)["StackResourceSummaries"]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in listed}

    def policy(self) -> dict[str, Any]:
        """What its role may do."""
        role = self.resources()["ExporterRole"]
        found = self._aws.client("iam").get_role_policy(RoleName=role, PolicyName="export")
        # moto keeps the policies of a stack in Python's notation, and leaves None in lists for AWS::NoValue.
        policy = dict(literal_eval(found["PolicyDocument"]))
        return policy | {"Statement": [each for each in policy["Statement"] if each]}

    def values(self) -> dict[str, str]:
        """What the placeholders of docs/iam stand for in it."""
        told = self.parameters
        return {
            "Partition": "aws",
            "SourceBucket": told["SourceBucket"],
            "SourcePrefix": "currents/",
            "SourceKeyArn": told.get("SourceKeyArn", ""),
            "StateBucket": self.resources()["StateBucket"],
            "StatePrefix": "",
            "StateKeyArn": told.get("StateKeyArn", ""),
            "BusArn": f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/{told['BusName']}",
        }


def template() -> Any:
    return cfn_yaml.load(str(TEMPLATE))


def test_cfn_lint_has_no_complaint() -> None:
    assert complaints(TEMPLATE.read_text("utf-8")) == []


def keys(aws: LocalAws) -> dict[str, str]:
    kms = aws.client("kms")
    return {name: kms.create_key()["KeyMetadata"]["Arn"] for name in ("SourceKeyArn", "StateKeyArn")}


def test_the_role_is_that_of_the_policy_in_the_docs(aws: LocalAws, bucket: str) -> None:
    stack = Stack(aws, SourceBucket=bucket, **keys(aws))
    assert stack.policy() == filled("exporter-event-bus.json", stack.values())


def test_without_keys_the_role_has_no_part_in_any(aws: LocalAws, bucket: str) -> None:
    stack = Stack(aws, SourceBucket=bucket)
    told = filled("exporter-event-bus.json", stack.values())
    assert stack.policy()["Statement"] == [each for each in told["Statement"] if not each["Sid"].endswith("Key")]


def test_an_export_runs_with_what_the_outputs_say(
    aws: LocalAws, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    stack = Stack(aws, SourceBucket=bucket, LogEvents="true", **keys(aws))
    outputs = stack.outputs()
    (path := tmp_path / "connectors.yaml").write_text(outputs["Connectors"])
    connector = load_connectors(path).one("braze")
    put_files(aws, connector, make_files([HOUR], [OPEN], rows=30))
    monkeypatch.setenv("AIRFLOW_CONN_BRAZE_EXPORT", outputs["Connection"])
    calls = record(monkeypatch)
    [hour] = Tasks(connector).export(HOUR).values()
    assert hour["totals"]["sent"] == 30
    assert {line["bus"] for line in aws.accepted_lines()} == {stack.parameters["BusName"]}
    assert logged(aws, stack) == 30
    assumed = {call.params["RoleArn"] for call in calls if call.operation == "AssumeRole"}
    assert assumed == {f"arn:aws:iam::{ACCOUNT}:role/{stack.resources()['ExporterRole']}"}
    needs = needs_of(call for call in calls if call.operation != "AssumeRole")
    assert needs
    assert unmet(needs, grants(stack.policy())) == []


def logged(aws: LocalAws, stack: Stack) -> int:
    """How many events its log group has."""
    found = aws.client("logs").filter_log_events(logGroupName=f"/aws/events/{stack.parameters['BusName']}")
    return len(found["events"])


def test_the_setter_up_may_make_what_the_template_has_of_eventbridge(aws: LocalAws, bucket: str) -> None:
    stack, events = Stack(aws, SourceBucket=bucket, LogEvents="true"), aws.client("events")
    values = stack.values() | {"Region": "us-east-1", "AccountId": ACCOUNT, "BusName": stack.parameters["BusName"]}
    bus = values["BusArn"]
    [archive] = events.list_archives(EventSourceArn=bus)["Archives"]
    needs = [Need(action, bus) for action in ("events:CreateEventBus", "events:CreateArchive")]
    needs.append(Need("events:CreateArchive", f"arn:aws:events:us-east-1:{ACCOUNT}:archive/{archive['ArchiveName']}"))
    rules = events.list_rules(EventBusName=values["BusName"])["Rules"]
    assert stack.resources()["LogRule"] in {rule["Name"] for rule in rules}
    needs += [Need(action, rule["Arn"]) for rule in rules for action in ("events:PutRule", "events:PutTargets")]
    assert unmet(needs, grants(filled("setter-up-event-bus.json", values))) == []


def test_events_are_archived_and_only_logged_where_that_is_asked_for(aws: LocalAws, bucket: str) -> None:
    stack = Stack(aws, SourceBucket=bucket)
    bus = stack.values()["BusArn"]
    [archive] = aws.client("events").list_archives(EventSourceArn=bus)["Archives"]
    assert archive["RetentionDays"] == 7
    assert stack.resources().keys().isdisjoint({"LogGroup", "LogGroupPolicy", "LogRule"})


def test_the_state_is_encrypted_with_the_key_that_is_named(aws: LocalAws, bucket: str) -> None:
    for told in ({}, {"StateKeyArn": keys(aws)["StateKeyArn"]}):
        stack = Stack(aws, SourceBucket=bucket, **told)
        found = aws.client("s3").get_bucket_encryption(Bucket=stack.resources()["StateBucket"])
        [rule] = found["ServerSideEncryptionConfiguration"]["Rules"]
        default = rule["ApplyServerSideEncryptionByDefault"]
        assert default["SSEAlgorithm"] == ("aws:kms" if told else "AES256")
        assert default.get("KMSMasterKeyID") == told.get("StateKeyArn")


def test_the_state_is_closed_to_the_public_and_outlives_the_stack() -> None:
    bucket = template()["Resources"]["StateBucket"]
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert {bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]} == {"Retain"}


def test_no_lifecycle_ends_objects_of_the_state() -> None:
    rules = template()["Resources"]["StateBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    # What else a rule can do to an object that is the newest of its key: to end it, or to move it to a slower class.
    allowed = {
        "Id",
        "Status",
        "AbortIncompleteMultipartUpload",
        "NoncurrentVersionExpiration",
        "ExpiredObjectDeleteMarker",
    }
    assert rules
    assert [rule.keys() - allowed for rule in rules] == [set()] * len(rules)
