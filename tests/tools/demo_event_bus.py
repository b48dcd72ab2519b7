"""The demo of a classic bus: three hours, a late file, and what a rule delivers to a queue."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from tests.tools.demo_run import Manifest, console, export_hour, read_manifest, set_up_airflow, step
from tests.tools.local_aws import LocalAws
from tests.tools.stage import delivered_events, demo_hours, late_file, put_files, sample_files, set_stage


class EventBusDemo:
    """Exports to a classic bus."""

    def __init__(self) -> None:
        self._events: list[Manifest] = []

    def play(self, aws: LocalAws) -> list[Manifest]:
        """Writes the sample, runs the export DAG for each of its hours, and returns the hours' manifests."""
        hours, environment = demo_hours(datetime.now(UTC)), aws.environment()
        with step("Writing Currents files"):
            connector = set_stage(aws)
            files = sample_files(hours, prefix=connector.source.prefix)
            put_files(aws, connector, files)
        rows = sum(file.table.num_rows for file in files)
        console.print(f"  {len(files)} files with {rows:,} rows in s3://{connector.source.bucket}/")
        set_up_airflow(environment)
        for hour in hours:
            with step(f"Exporting hour {hour} through Airflow"):
                export_hour(hour, environment)
        put_files(aws, connector, [late_file(hours[0], prefix=connector.source.prefix)])
        console.print(f"  and wrote a late file for {hours[0]}, which a scheduled run would find")
        with step(f"Exporting hour {hours[0]} again, which sends the late file alone"):
            export_hour(hours[0], environment)
        self._events = delivered_events(aws, 3)
        return [read_manifest(aws, connector, hour) for hour in hours]

    def show(self) -> None:
        """Prints three events as a rule of the bus delivered them to a queue."""
        console.print("\nThree events, as a rule of the bus delivered them to an SQS queue")
        for event in self._events:
            console.print_json(json.dumps(event), indent=None, ensure_ascii=False)

    def faults(self) -> list[str]:
        """Whether the rule delivered anything."""
        return [] if self._events else ["the rule delivered no event to its queue"]

    def may_repeat(self) -> int:
        """None."""
        return 0
