"""Sets the stage for the demo connector: its buckets, its bus, a rule with a queue, and files for a few hours."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from currents_core.hour import format_hour
from currents_core.setup.connectors_file import load_connectors
from currents_core.setup.settings import Connector
from tests.tools.airflow_env import EXAMPLE
from tests.tools.local_aws import LocalAws
from tests.tools.sample import SampleFile, make_files

CONNECTOR = "demo"
QUEUE = "currents-demo"
EVENT_TYPES = (
    "users.behaviors.CustomEvent",
    "users.behaviors.Purchase",
    "users.messages.email.Click",
    "users.messages.email.Open",
    "users.messages.inappmessage.Click",
    "users.messages.sms.Delivery",
)
# moto hands a queue about 80 events a second, so the rule asks for a small share.
PATTERN = {
    "source": ["braze.currents"],
    "detail-type": ["users.behaviors.Purchase"],
    "detail": {"properties": {"currency": ["JPY"], "product_id": [f"sku-{number}" for number in range(4)]}},
}


def demo_hours(now: datetime, count: int = 3) -> list[str]:
    """The last ``count`` hours that have ended, and waited out their delay, by ``now``, oldest first."""
    last = now.astimezone(UTC) - timedelta(hours=1, minutes=20)
    return [format_hour(last - timedelta(hours=back)) for back in reversed(range(count))]


def sample_files(hours: Iterable[str], *, prefix: str, rows: int = 250) -> list[SampleFile]:
    """Two files per hour and event type, with repeated ids; the first of each hour has rows without id or time."""
    files = list(make_files(hours, EVENT_TYPES, files=2, rows=rows, repeat=0.02, prefix=prefix))
    once = {event_id for event_id, count in Counter(_ids(files)).items() if count == 1}
    return [_spoilt(file, once) if file.event_type == EVENT_TYPES[0] and "+0+" in file.key else file for file in files]


def late_file(hour: str, *, prefix: str, rows: int = 250) -> SampleFile:
    """One more file for an hour that was exported already."""
    return next(make_files([hour], EVENT_TYPES[1:2], rows=rows, prefix=prefix, first=2))


def set_stage(aws: LocalAws) -> Connector:
    """Makes the demo connector's buckets, bus, rule and queue; files are put by ``put_files``."""
    connector = load_connectors(EXAMPLE).one(CONNECTOR)
    make_buckets(aws, connector)
    events, bus = aws.client("events"), connector.destination_name
    events.create_event_bus(Name=bus)
    events.put_rule(Name="to-queue", EventBusName=bus, EventPattern=json.dumps(PATTERN))
    events.put_targets(Rule="to-queue", EventBusName=bus, Targets=[{"Id": "queue", "Arn": make_queue(aws)}])
    return connector


def make_buckets(aws: LocalAws, connector: Connector) -> None:
    """Makes the buckets of a connector."""
    s3 = aws.client("s3")
    for bucket in {connector.source.bucket, connector.state.bucket}:
        s3.create_bucket(Bucket=bucket)


def make_queue(aws: LocalAws) -> str:
    """Makes the queue that events are delivered to, and returns its ARN."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])


def put_files(aws: LocalAws, connector: Connector, files: Iterable[SampleFile]) -> None:
    """Writes files where Braze would."""
    s3 = aws.client("s3")
    for file in files:
        s3.put_object(Bucket=connector.source.bucket, Key=file.key, Body=file.body)


def delivered_events(aws: LocalAws, count: int) -> list[dict[str, Any]]:
    """Up to ``count`` events from the queue to which the rule delivers."""
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=count).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def _ids(files: Iterable[SampleFile]) -> list[str]:
    return [event_id for file in files for event_id in file.table["id"].to_pylist()]


def _spoilt(file: SampleFile, once: set[str]) -> SampleFile:
    """The same file, one row without an id and one without a time: both end as dead letters.

    They are rows whose id stands only ``once`` in all files, so that as many rows as before are repeats.
    """
    columns = {name: file.table[name].to_pylist() for name in file.table.column_names}
    first, second = [row for row, event_id in enumerate(columns["id"]) if event_id in once][:2]
    columns["id"][first] = None
    columns["time"][second] = None
    return replace(file, table=pa.table(columns, schema=file.table.schema))
