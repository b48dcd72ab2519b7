from __future__ import annotations

import json

import pytest

from tests.tools.linting import complaints

BUS = "arn:aws:events:us-east-1:123456789012:event-bus/b"


@pytest.mark.parametrize(
    ("action", "resource", "rules"),
    [
        ("events:PutEvents", BUS, []),
        ("events:PutEvent", BUS, ["W3037"]),
        ("events:PutEvents", "arn:aws:events:us-east-1:123456789012:rule/b/r", ["I3510"]),
    ],
)
def test_actions_and_resources_that_aws_does_not_know_are_found(action: str, resource: str, rules: list[str]) -> None:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    policy = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}
    assert [told.partition(":")[0] for told in complaints(json.dumps({"Resources": {"Policy": policy}}))] == rules
