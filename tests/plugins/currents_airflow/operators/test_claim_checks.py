"""Events that are too large to be sent, through real tasks on local AWS: fetched as a consumer would."""

from __future__ import annotations

import hashlib
import json
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from currents_core.books.account import CLAIM_CHECKS
from currents_core.setup.settings import Connector
from tests.tools.local_aws import LocalAws
from tests.tools.tasks import Tasks

HOUR, PURCHASE = "2026-11-23-08", "users.behaviors.Purchase"
LARGE = {"cart": "süß " * 300_000, "count": 9_876_543_210_987_654_321}
ROWS: dict[str, list[Any]] = {
    "id": ["small", "large"],
    "time": [1_795_420_801, 1_795_420_802],
    "user_id": ["anna", "bert"],
    "properties": [json.dumps({"cart": ""}), json.dumps(LARGE, ensure_ascii=False)],
}


@pytest.fixture
def connector(aws: LocalAws, bucket: str, bus: str) -> Connector:
    return Connector.model_validate(
        {
            "name": "orders",
            "source": {"bucket": bucket, "prefix": "in", "aws_conn_id": None},
            "destination": {"kind": "event_bus", "name": bus, "region": "us-east-1", "aws_conn_id": None},
            "state": {"bucket": bucket, "prefix": "state", "aws_conn_id": None},
            "oversized": "claim_check",
        }
    )


def put(aws: LocalAws, bucket: str) -> None:
    body = BytesIO()
    pq.write_table(pa.table(ROWS), body)
    key = f"in/event_type={PURCHASE}/date={HOUR}/a.parquet"
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body.getvalue())


def sent(aws: LocalAws) -> dict[str, Any]:
    return {detail["id"]: detail for detail in (json.loads(entry["Detail"]) for entry in aws.accepted())}


def manifest(aws: LocalAws, bucket: str) -> Any:
    key = f"state/orders/manifests/date={HOUR}.json"
    return json.loads(aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


def require_whole(aws: LocalAws, detail: dict[str, Any]) -> None:
    """What the event says of the object leads to the row that it was made of."""
    check = detail["currents_export"]["claim_check"]
    answer = aws.client("s3").get_object(Bucket=check["bucket"], Key=check["key"])
    body = answer["Body"].read()
    assert answer["ContentType"] == "application/json"
    assert (len(body), hashlib.sha256(body).hexdigest()) == (check["bytes"], check["sha256"])
    assert check["key"].startswith(f"state/orders/oversized/date={HOUR}/")
    assert json.loads(body) == {
        "event_type": PURCHASE,
        "id": "large",
        "time": 1_795_420_802,
        "user": {"user_id": "bert"},
        "properties": {"purchase_properties": LARGE},
    }


def test_a_consumer_finds_the_whole_event_where_the_claim_check_says(
    aws: LocalAws, bucket: str, connector: Connector
) -> None:
    put(aws, bucket)
    Tasks(connector).export(HOUR)
    found = sent(aws)
    assert found["small"]["properties"] == {"purchase_properties": {"cart": ""}}
    assert "currents_export" not in found["small"]
    assert found["large"]["user"] == {"user_id": "bert"}
    assert found["large"]["properties"] == {}
    require_whole(aws, found["large"])
    assert manifest(aws, bucket)["notes"] == {CLAIM_CHECKS: 1}
    Tasks(connector).export(HOUR)
    assert len(aws.accepted()) == 2


def test_a_dry_run_tells_of_claim_checks_and_leaves_nothing(aws: LocalAws, bucket: str, connector: Connector) -> None:
    put(aws, bucket)
    report = Tasks(connector).export(HOUR, dry_run=True)
    assert (report["claim_checks"], report["events"], report["dead_letters"]) == (1, 2, {})
    assert report["megabytes"] < 0.01
    listed = aws.client("s3").list_objects_v2(Bucket=bucket, Prefix="state/").get("Contents", [])
    assert [each["Key"] for each in listed if "/oversized/" in each["Key"]] == []
    assert aws.accepted() == []


def test_a_letter_is_sent_as_a_claim_check_once_the_setting_says_so(
    aws: LocalAws, bucket: str, connector: Connector
) -> None:
    put(aws, bucket)
    Tasks(connector.model_copy(update={"oversized": "dead_letter"})).export(HOUR)
    assert list(sent(aws)) == ["small"]
    assert Tasks(connector).redrive(HOUR)["sent"] == 1
    require_whole(aws, sent(aws)["large"])
    totals = manifest(aws, bucket)["totals"]
    assert (totals["sent"], totals["dead_lettered"]) == (2, 0)


def test_the_claim_checks_of_a_replay_lead_to_objects_of_its_own(
    aws: LocalAws, bucket: str, connector: Connector
) -> None:
    put(aws, bucket)
    Tasks(connector).export(HOUR, replay=True, reason="the consumer lost it")
    check = sent(aws)["large"]["currents_export"]
    assert check["mode"] == "replay"
    assert check["claim_check"]["key"].startswith("state/orders/replays/run/oversized/date=")
    body = aws.client("s3").get_object(Bucket=bucket, Key=check["claim_check"]["key"])["Body"].read()
    assert json.loads(body)["currents_export"] == {"mode": "replay"}
