"""Events in groups of their users, through real tasks to a custom bus of local AWS."""

from __future__ import annotations

import json
import uuid
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from currents_core.books.account import DEDUPLICATED
from currents_core.setup.settings import Connector
from tests.tools.local_aws import LocalAws
from tests.tools.tasks import Tasks

HOUR, OPEN = "2026-11-23-08", "users.messages.email.Open"
USERS = [*[f"user {number % 20}" for number in range(99)], None]


@pytest.fixture
def connector(aws: LocalAws, bucket: str) -> Connector:
    arn = aws.client("eventbridgev2").create_event_bus(Name=f"bus-{uuid.uuid4()}")["EventBusArn"]
    aws.forward(5)
    return Connector.model_validate(
        {
            "name": "orders",
            "source": {"bucket": bucket, "prefix": "in", "aws_conn_id": None},
            "destination": {
                "kind": "custom_bus",
                "name": arn,
                "region": "us-east-1",
                "aws_conn_id": None,
                "event_groups": 5,
            },
            "state": {"bucket": bucket, "prefix": "state", "aws_conn_id": None},
            "budget": {"entries_per_second": 3_000},
        }
    )


def put(aws: LocalAws, bucket: str) -> None:
    body = BytesIO()
    rows = len(USERS)
    ids = [f"{number}" for number in range(rows)]
    pq.write_table(pa.table({"id": ids, "time": [1_795_420_801] * rows, "user_id": USERS}), body)
    key = f"in/event_type={OPEN}/date={HOUR}/a.parquet"
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body.getvalue())


def test_each_user_has_a_group_and_what_is_sent_twice_is_handed_on_once(
    aws: LocalAws, bucket: str, connector: Connector
) -> None:
    put(aws, bucket)
    Tasks(connector).export(HOUR)
    sent = aws.accepted()
    found: dict[str | None, set[Any]] = {}
    for each in sent:
        user = json.loads(each["Detail"])["user"].get("user_id")
        found.setdefault(user, set()).add(each["SystemMetadata"].get("EventGroupId"))
    assert found.pop(None) == {None}
    assert all(len(groups) == 1 for groups in found.values())
    assert {group for groups in found.values() for group in groups} == {*map(str, range(5))}
    # Whoever knows nothing of it sends all of it again.
    anew = connector.model_copy(update={"state": connector.state.model_copy(update={"prefix": "other/"})})
    Tasks(anew).export(HOUR)
    key = f"other/orders/manifests/date={HOUR}.json"
    manifest = json.loads(aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    assert manifest["notes"] == {DEDUPLICATED: len(USERS)}
