from __future__ import annotations

from typing import Any

import pytest

from tests.tools.iam import Need, filled, grants, is_like, needless, unmet

KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
READ, LIST = Need("s3:GetObject", "arn:aws:s3:::b/in/x"), Need("s3:ListBucket", "arn:aws:s3:::b")


def policy(**changes: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/in/*"}
    return {"Statement": [statement | changes]}


@pytest.mark.parametrize(
    ("text", "pattern", "matches"),
    [
        ("b/in/x", "b/in/*", True),
        ("b/in/x/y", "b/in/*", True),
        ("b/input", "b/in/*", False),
        ("a.b", "a?b", True),
        ("axb", "a.b", False),
        ("ab", "a", False),
    ],
)
def test_only_stars_and_question_marks_stand_for_others(text: str, pattern: str, matches: bool) -> None:
    assert is_like(text, pattern) == matches


def test_what_no_statement_allows_is_denied() -> None:
    granted = grants(policy())
    elsewhere, other = Need("s3:GetObject", "arn:aws:s3:::b/out/x"), Need("s3:PutObject", READ.resource)
    assert unmet([READ, elsewhere, other, LIST], granted) == [elsewhere, other, LIST]


def test_each_action_is_allowed_on_each_resource() -> None:
    granted = grants(policy(Action=["s3:GetObject", "s3:ListBucket"], Resource=["arn:aws:s3:::b/in/*", LIST.resource]))
    assert unmet([READ, LIST], granted) == []
    assert len(needless([READ, LIST], granted)) == 2


@pytest.mark.parametrize(
    ("context", "is_allowed"),
    [
        ((), False),
        ((("kms:ViaService", "sqs.us-east-1.amazonaws.com"),), False),
        ((("kms:ViaService", "s3.us-east-1.amazonaws.com"),), True),
    ],
)
def test_a_condition_holds_only_where_its_key_is_known_and_fits(
    context: tuple[tuple[str, str], ...], is_allowed: bool
) -> None:
    condition = {"StringLike": {"kms:ViaService": "s3.*"}}
    granted = grants(policy(Action="kms:Decrypt", Resource=KEY, Condition=condition))
    assert (unmet([Need("kms:Decrypt", KEY, context)], granted) == []) == is_allowed


def test_what_is_granted_twice_is_needless() -> None:
    granted = grants(policy()) + grants(policy(Resource="arn:aws:s3:::b/*"))
    assert needless([READ], granted) == granted


@pytest.mark.parametrize(
    "changes",
    [
        {"Effect": "Deny"},
        {"Action": "s3:*"},
        {"NotResource": "x"},
        {"Condition": {"ForAnyValue:StringEquals": {}}},
    ],
)
def test_what_is_not_understood_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="only plain permissions are understood"):
        grants(policy(**changes))


def test_a_placeholder_without_a_value_is_refused() -> None:
    with pytest.raises(KeyError):
        filled("exporter-event-bus.json", {"Partition": "aws"})
