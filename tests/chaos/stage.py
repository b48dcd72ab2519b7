"""What the chaos suite exports: files in a bucket, read by two connectors, one for each kind of bus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from currents_core.books.account import Counts
from currents_core.catalog import catalog
from currents_core.hour import format_hour
from tests.chaos.form import Form
from tests.tools.awaiting import wait_for
from tests.tools.local_aws import LocalAws
from tests.tools.sample import make_files

BUCKET, PREFIX = "braze", "currents/"
# The connectors, and the buses that they deliver to.
CLASSIC, CUSTOM = "classic", "custom"
# This share of a file's rows come again.
REPEATED = 0.05


@dataclass
class Stage:
    """The files of the last hours, the ids in them, and what the books of each hour have to say in the end.

    ``late_at`` is when late files were put.
    """

    aws: LocalAws
    form: Form
    now: datetime
    late_at: datetime = field(init=False)
    ids: set[str] = field(default_factory=set)
    expected: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))

    @property
    def hours(self) -> list[str]:
        """The hours with files, in their order."""
        return [format_hour(self.now - timedelta(hours=back)) for back in range(self.form.hours, 0, -1)]

    @property
    def bounds(self) -> tuple[str, str]:
        """The hours as a backfill takes them: the first one, and the one after the last."""
        first = self.now - timedelta(hours=self.form.hours)
        return f"{first:%Y-%m-%dT%H}", f"{self.now:%Y-%m-%dT%H}"

    @property
    def types(self) -> list[str]:
        """The event types."""
        return sorted(catalog())[: self.form.types]

    def set(self) -> list[dict[str, Any]]:
        """Makes buckets, buses and files, and returns the settings of the connectors."""
        self.aws.client("s3").create_bucket(Bucket=BUCKET)
        self.aws.client("events").create_event_bus(Name=CLASSIC)
        custom = self.aws.client("eventbridgev2")
        arn = custom.create_event_bus(Name=CUSTOM)["EventBusArn"]
        self.aws.forward(5)
        wait_for(120, lambda: custom.describe_event_bus(EventBusArn=arn)["State"] == "ACTIVE")
        self.put(self.hours, rows=self.form.rows)
        classic, rate = {"kind": "event_bus", "name": CLASSIC}, self.form.rate
        return [
            self._connector(CLASSIC, classic, {"requests_per_second": rate / 10}),
            self._connector(CUSTOM, {"kind": "custom_bus", "name": arn}, {"entries_per_second": rate}),
        ]

    def put(self, hours: Sequence[str], *, rows: int, first: int = 0) -> None:
        """Puts a file for each hour and event type, numbered from ``first`` on."""
        s3 = self.aws.client("s3")
        for file in make_files(hours, self.types, rows=rows, repeat=REPEATED, prefix=PREFIX, first=first):
            self.ids.update(file.table["id"].to_pylist())
            rows = file.table.num_rows
            self.expected[file.hour] += Counts(read=rows, sent=rows - file.repeats, duplicate=file.repeats)
            s3.put_object(Bucket=BUCKET, Key=file.key, Body=file.body)

    def _connector(self, name: str, destination: dict[str, Any], rate: dict[str, float]) -> dict[str, Any]:
        return {
            "name": name,
            "source": {"bucket": BUCKET, "prefix": PREFIX},
            "destination": {**destination, "region": "us-east-1"},
            "state": {"bucket": BUCKET, "prefix": "state/"},
            "budget": {**rate, "backfill_slots": 4},
            "schedule": {"delay_minutes": (datetime.now(UTC).minute + self.form.minutes) % 60 or 1},
        }
