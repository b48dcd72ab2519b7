"""Sets the stage for a demo of a custom bus: its buckets, its bus, and a subscriber with a queue."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import yaml

from currents_core.setup.connectors_file import load_connector
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
    wait_for(30, lambda: events.describe_event_bus(EventBusArn=arn)["State"] == "ACTIVE")
    target = {"RoleArn": ROLE, "TargetArn": make_queue(aws)}
    events.create_subscriber(Name=name, EventBusArn=arn, InvokeConfiguration=target)
    [settings] = yaml.safe_load(EXAMPLE.read_text("utf-8"))["connectors"]
    settings["destination"] = {"kind": "custom_bus", "name": arn, "region": "us-east-1"}
    settings["budget"] = {"entries_per_second": ENTRIES_PER_SECOND}
    path.write_text(yaml.safe_dump({"connectors": [settings]}, sort_keys=False), "utf-8")
    connector = load_connector(path, CONNECTOR)
    make_buckets(aws, connector)
    return connector


class Consumer:
    """Takes what a subscriber delivers to the queue, and counts how often it sees each event."""

    def __init__(self, aws: LocalAws) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()
        self.first: list[dict[str, Any]] = []
        self._sqs = aws.client("sqs")
        self._url = self._sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]

    def take(self) -> int:
        """Takes up to ten events, and returns how many there were."""
        messages = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            event = orjson.loads(message["Body"])
            self.seen[event["detail-type"], event["detail"]["id"]] += 1
            self.first += [event] if len(self.first) < 3 else []
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return len(messages)

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Takes events all the while; at the end, all that is left."""
        ended = threading.Event()

        def take() -> None:
            while not ended.wait(0.1):
                while self.take():
                    pass

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        while self.take():
            pass
