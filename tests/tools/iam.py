"""What an IAM policy allows: so much of IAM's language as the project's policies use, and an error for the rest.

moto can enforce policies itself, but knows no resource of EventBridge's calls and no condition: a policy that names a
bus denies everything there, and one whose conditions never hold allows.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import Template
from typing import Any, NamedTuple

from tests.tools.airflow_env import ROOT
from tests.tools.global_endpoints import ACCOUNT

IAM = ROOT / "docs" / "iam"
OPERATORS = {"StringEquals", "StringLike"}
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


class Need(NamedTuple):
    """An action on a resource, and what IAM knows of the request besides: keys and values."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


class Grant(NamedTuple):
    """One action of a statement, on one of its resources, and its conditions: operators, keys and values."""

    action: str
    resource: str
    conditions: tuple[tuple[str, str, str], ...] = ()

    def allows(self, need: Need) -> bool:
        """Whether it covers what is needed. A key that the request doesn't have fulfills no condition."""
        known = dict(need.context)
        fulfilled = (key in known and _fulfills(known[key], operator, told) for operator, key, told in self.conditions)
        return self.action == need.action and is_like(need.resource, self.resource) and all(fulfilled)


def grants(policy: Mapping[str, Any]) -> list[Grant]:
    """What a policy grants. Raises ValueError for anything in it that is not understood here."""
    return [grant for statement in policy["Statement"] for grant in _grants(statement)]


def unmet(needs: Iterable[Need], granted: Sequence[Grant]) -> list[Need]:
    """What is needed and not allowed."""
    return [need for need in needs if not any(grant.allows(need) for grant in granted)]


def needless(needs: Sequence[Need], granted: Sequence[Grant]) -> list[Grant]:
    """What is granted though everything that is needed would be allowed without it."""
    return [grant for grant in granted if not unmet(needs, [other for other in granted if other is not grant])]


def filled(name: str, values: Mapping[str, str]) -> dict[str, Any]:
    """One of the project's policies, with its placeholders filled in. Raises KeyError for one that has no value."""
    return dict(json.loads(Template((IAM / name).read_text("utf-8")).substitute(values)))


def is_like(text: str, pattern: str) -> bool:
    """Whether a text matches a pattern with IAM's wildcards."""
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _fulfills(value: str, operator: str, wanted: str) -> bool:
    return is_like(value, wanted) if operator == "StringLike" else value == wanted


def _grants(statement: Mapping[str, Any]) -> Iterator[Grant]:
    told = statement.get("Condition", {})
    strange = statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"} | told.keys() - OPERATORS
    actions, resources = _several(statement["Action"]), _several(statement["Resource"])
    if strange or statement["Effect"] != "Allow" or any("*" in action for action in actions):
        raise ValueError(f"{statement.get('Sid')}: only plain permissions are understood here, not {statement}")
    conditions = tuple((operator, key, wanted) for operator, keys in told.items() for key, wanted in keys.items())
    return (Grant(action, resource, conditions) for action in actions for resource in resources)


def _several(told: str | list[str]) -> list[str]:
    return [told] if isinstance(told, str) else told
