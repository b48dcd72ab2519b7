"""Local AWS and a scheduler, and the export DAGs between them."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.tools.local_aws import LocalAws
from tests.tools.sample import make_files
from tests.tools.scheduler import RunningDag, Scheduler, quiet_schedule

TYPES = ["users.behaviors.Purchase", "users.messages.email.Open"]
BEFORE, HOUR, AFTER = "2026-06-01-07", "2026-06-01-08", "2026-06-01-09"


def set_up(aws: LocalAws, connectors: Mapping[str, Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """Makes a bucket and a bus. Returns the bucket, and the settings of connectors between the two.

    ``connectors`` are the changes to the settings of each, by its name.
    """
    bucket, bus = f"bucket-{uuid.uuid4()}", "events"
    aws.client("s3").create_bucket(Bucket=bucket)
    aws.client("events").create_event_bus(Name=bus)
    return bucket, [
        {
            "name": name,
            "source": {"bucket": bucket, "prefix": name},
            "destination": {"kind": "event_bus", "name": bus, "region": "us-east-1"},
            "state": {"bucket": bucket, "prefix": "state"},
            "schedule": quiet_schedule(),
            **changes,
        }
        for name, changes in connectors.items()
    ]


@dataclass
class Stage:
    """Local AWS and a scheduler with a connector for each test, all of which read and write one bucket."""

    aws: LocalAws
    bucket: str
    scheduler: Scheduler


@dataclass
class Export:
    """The export DAG of one connector, what it reads, and what arrives from it."""

    stage: Stage
    connector: str

    def __post_init__(self) -> None:
        self.dag = RunningDag(self.stage.scheduler, f"currents_export_{self.connector}")

    def put(self, hour: str, *, first: int = 0, rows: int = 60) -> int:
        """Puts a file per event type and returns how many distinct events are in them."""
        files = list(make_files([hour], TYPES, rows=rows, repeat=0.1, prefix=f"{self.connector}/", first=first))
        for file in files:
            self.put_object(file.key, file.body)
        return sum(file.table.num_rows - file.repeats for file in files)

    def put_object(self, key: str, body: bytes) -> None:
        self.stage.aws.client("s3").put_object(Bucket=self.stage.bucket, Key=key, Body=body)

    def delete(self, key: str) -> None:
        self.stage.aws.client("s3").delete_object(Bucket=self.stage.bucket, Key=key)

    def keys(self, folder: str) -> list[str]:
        found = self.stage.aws.client("s3").list_objects_v2(
            Bucket=self.stage.bucket, Prefix=f"state/{self.connector}/{folder}"
        )
        return [each["Key"] for each in found.get("Contents", ())]

    def manifest(self, hour: str) -> dict[str, Any]:
        key = f"state/{self.connector}/manifests/date={hour}.json"
        found = self.stage.aws.client("s3").get_object(Bucket=self.stage.bucket, Key=key)
        return dict(json.loads(found["Body"].read()))

    def accepted(self) -> list[dict[str, Any]]:
        """The entries that arrived, in order."""
        return [
            line["entry"]
            for line in self.stage.aws.accepted_lines()
            if line["entry"]["Resources"][0].startswith(f"arn:aws:s3:::{self.stage.bucket}/{self.connector}/")
        ]

    def ids(self) -> Counter[str]:
        return Counter(json.loads(entry["Detail"])["id"] for entry in self.accepted())
