"""The demo of a custom bus: an export that is killed in the middle, and a consumer that sees no event twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from currents_core.books.account import DEDUPLICATED
from tests.tools.consumer import Consumer
from tests.tools.custom_stage import set_custom_stage
from tests.tools.demo_run import (
    HOME,
    Manifest,
    console,
    export_hour,
    kill_export,
    read_manifest,
    set_up_airflow,
    step,
)
from tests.tools.local_aws import LocalAws
from tests.tools.stage import demo_hours, put_files, sample_files

# A subscriber of local AWS is handed some 80 events a second.
ROWS = 50
# By then a run has sent some requests of an hour's six, and some are under way.
SENT_BEFORE_KILL = 150

RESUMED = """
What became of the hour that was killed
  {deduplicated:,} of its events were on the bus, and the killed run had not noted that yet.
  So the second run sent them again. Each event has a DeduplicationId; by it the
  bus knew them, and handed none of them on a second time. The hour manifest of
  {hour} counts them in its notes, as "{note}".

  The consumer behind the bus saw {seen:,} events, each of them once."""


class CustomBusDemo:
    """Exports to a bus of EventBridge's second generation."""

    def __init__(self) -> None:
        self._manifests: list[Manifest] = []
        self._consumer: Consumer

    def play(self, aws: LocalAws) -> list[Manifest]:
        """Exports three hours, of which the first is killed in the middle and resumed, and returns their manifests."""
        hours, file = demo_hours(datetime.now(UTC)), HOME / "connectors.yaml"
        environment = {**aws.environment(), "CURRENTS_CONNECTORS": str(file)}
        with step("Creating a custom bus, and a subscriber with an SQS queue"):
            connector = set_custom_stage(aws, file)
        with step("Writing Currents files"):
            files = sample_files(hours, prefix=connector.source.prefix, rows=ROWS)
            put_files(aws, connector, files)
        rows = sum(each.table.num_rows for each in files)
        console.print(f"  {len(files)} files with {rows:,} rows in s3://{connector.source.bucket}/")
        set_up_airflow(environment)
        self._consumer = Consumer(aws)
        with self._consumer.taking():
            self._export(aws, hours, environment)
        self._manifests = [read_manifest(aws, connector, hour) for hour in hours]
        return self._manifests

    def _export(self, aws: LocalAws, hours: list[str], environment: dict[str, str]) -> None:
        killed, *others = hours
        with step(f"Exporting hour {killed}, and killing it in the middle"):
            kill_export(killed, environment, ready=lambda: aws.counts()["accepted"] >= SENT_BEFORE_KILL)
        console.print(f"  SIGKILL, after the bus had taken {aws.counts()['accepted']:,} of its events")
        for hour in others:
            with step(f"Exporting hour {hour} through Airflow"):
                export_hour(hour, environment)
        console.print("  a run that shows no sign of life for a minute loses its files to the next")
        with step(f"Exporting hour {killed} again, which goes on after the kill"):
            export_hour(killed, environment)

    def show(self) -> None:
        """Prints three events as the subscriber delivered them, and what became of those that were sent twice."""
        console.print("\nThree events, as the subscriber delivered them to an SQS queue")
        for event in self._consumer.first:
            console.print_json(json.dumps(event), indent=None, ensure_ascii=False)
        resumed = self._manifests[0]
        deduplicated = resumed["notes"].get(DEDUPLICATED, 0)
        told = RESUMED.format(
            deduplicated=deduplicated, hour=resumed["hour"], note=DEDUPLICATED, seen=len(self._consumer.seen)
        )
        console.print(told)

    def faults(self) -> list[str]:
        """Whether the consumer has each event that was sent, and none twice."""
        seen, sent = self._consumer.seen, sum(manifest["totals"]["sent"] for manifest in self._manifests)
        faults = [] if len(seen) == sent else [f"events sent: {sent:,}, but the consumer saw: {len(seen):,}"]
        if twice := seen.total() - len(seen):
            faults.append(f"events that the consumer saw twice: {twice:,}")
        return faults

    def may_repeat(self) -> int:
        """None."""
        return 0
