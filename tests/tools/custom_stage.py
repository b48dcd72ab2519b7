"""Sets the stage for a demo of a custom bus: its buckets, its bus, and a subscriber with a queue."""

from __future__ import annotations

from pathlib import Path

import yaml

from currents_core.setup.connectors_file import load_connectors
from currents_core.setup.settings import Connector
from tests.tools.airflow_env import EXAMPLE
from tests.tools.awaiting import wait_for
from tests.tools.local_aws import LocalAws
from tests.tools.stage import CONNECTOR, QUEUE, make_buckets, make_queue

# Slow enough that a run can be caught in the middle.
ENTRIES_PER_SECOND = 200
ROLE = "arn:aws:iam::123456789012:role/subscriber"


def set_custom_stage(aws: LocalAws, path: Path) -> Connector:
    """Makes the connector's buckets, bus, subscriber and queue, and writes its connectors file to ``path``.

    The file is the demo's, with another destination: a custom bus is named by an ARN, which is not known before.
    """
    events, name = aws.client("eventbridgev2"), QUEUE
    arn = events.create_event_bus(Name=name)["EventBusArn"]
    wait_for(120, lambda: events.describe_event_bus(EventBusArn=arn)["State"] == "ACTIVE")
    target = {"RoleArn": ROLE, "TargetArn": make_queue(aws)}
    events.create_subscriber(Name=name, EventBusArn=arn, InvokeConfiguration=target)
    [settings] = yaml.safe_load(EXAMPLE.read_text("utf-8"))["connectors"]
    settings["destination"] = {"kind": "custom_bus", "name": arn, "region": "us-east-1"}
    settings["budget"] = {"entries_per_second": ENTRIES_PER_SECOND}
    path.write_text(yaml.safe_dump({"connectors": [settings]}, sort_keys=False), "utf-8")
    connector = load_connectors(path).one(CONNECTOR)
    make_buckets(aws, connector)
    return connector
