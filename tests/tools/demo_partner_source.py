"""The demo of a partner event source: offered, waited for, accepted, lost in the middle of an export, and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from tests.tools.consumer import Consumer
from tests.tools.demo_log import Told, told_in
from tests.tools.demo_run import (
    CONNECT,
    HOME,
    Manifest,
    Run,
    console,
    export_hour,
    read_manifest,
    refused_export,
    running,
    set_up_airflow,
    step,
    tell,
)
from tests.tools.local_aws import LocalAws
from tests.tools.partner_stage import ACCOUNT, PARTNER, Customer, set_partner_stage
from tests.tools.stage import demo_hours, put_files, sample_files

ROWS = 15
# By then a run has looked at the source again, and has sent more since.
SENT_BEFORE_DELETION = 100

LOST = """
What became of the hour whose bus was deleted
  On the bus by then: {arrived:,} of its events.
  Accepted and dropped after: {dropped:,} more.
  EventBridge drops what it accepts while a source is PENDING. So an event
  counts as sent only once a later look finds the source ACTIVE, and all since
  the last such look went again. Of that, {repeated:,} events had arrived already, so
  they are there twice: consumers drop repeats by event type and id.

  The queue behind the customer's rule has every event: {seen:,} of them."""


class PartnerSourceDemo:
    """Exports to a partner event source; the demo is its customer, too."""

    def __init__(self) -> None:
        self._manifests: list[Manifest] = []
        self._consumer: Consumer
        # Of the run whose bus was deleted: what was on the bus by then, and what was dropped after.
        self._arrived = self._dropped = 0
        self._requests_while_refused = 0

    def play(self, aws: LocalAws) -> list[Manifest]:
        """Has the source offered and accepted, exports two hours, of which one fails first, and returns the manifests.

        The other hour's export is refused twice before, since the source is not there, and then not accepted.
        """
        hours, file = demo_hours(datetime.now(UTC), 2), HOME / "connectors.yaml"
        with step(f"Registering the account as a partner, {PARTNER}"):
            connector = set_partner_stage(aws, file)
        console.print(f"  the connector knows account {ACCOUNT} and region us-east-1, and no more")
        environment = {
            **aws.environment(),
            "CURRENTS_CONNECTORS": str(file),
            "AIRFLOW__CURRENTS__PARTNER_NAME": PARTNER,
        }
        with step("Writing Currents files"):
            files = sample_files(hours, prefix=connector.source.prefix, rows=ROWS)
            put_files(aws, connector, files)
        rows = sum(each.table.num_rows for each in files)
        console.print(f"  {len(files)} files with {rows:,} rows in s3://{connector.source.bucket}/")
        set_up_airflow(environment)
        customer = Customer(aws, connector.destination_name)
        self._consumer = Consumer(aws)
        with self._consumer.taking():
            self._connect(aws, hours[0], environment, customer)
            with step(f"Exporting hour {hours[0]} through Airflow"):
                export_hour(hours[0], environment)
            self._lose(aws, hours[1], environment, customer)
            self._come_back(hours[1], environment, customer)
        self._manifests = [read_manifest(aws, connector, hour) for hour in hours]
        return self._manifests

    def _connect(self, aws: LocalAws, hour: str, environment: dict[str, str], customer: Customer) -> None:
        with step(f"Exporting hour {hour}, before any source is offered"):
            refused = refused_export(hour, environment)
        _tell_failure(refused)
        log = HOME / "connect.log"
        with running(*CONNECT, environment=environment, log=log) as run:
            with step("Running currents_connect_demo, which offers the source"):
                run.wait_until(lambda: _of(log, "wait"), "the source was not offered")
            _tell_tasks(log, "create", "associate")
            with step(f"Exporting hour {hour}, while the source is PENDING"):
                refused = refused_export(hour, environment)
            _tell_failure(refused)
            self._requests_while_refused = aws.counts()["requests"]
            console.print(f"  requests with events that EventBridge got so far: {self._requests_while_refused:,}")
            with step("Associating the source with a bus, as the customer would"):
                customer.associate()
                run.finish()
        _tell_tasks(log, "wait", "check")

    def _lose(self, aws: LocalAws, hour: str, environment: dict[str, str], customer: Customer) -> None:
        before = aws.counts()["accepted"]

        def delete_bus(run: Run) -> None:
            failure = f"the export of {hour} could not be caught in the middle"
            run.wait_until(lambda: aws.counts()["accepted"] - before >= SENT_BEFORE_DELETION, failure)
            customer.delete_bus()

        with step(f"Exporting hour {hour}; the bus is deleted in the middle"):
            refused = refused_export(hour, environment, meanwhile=delete_bus)
        _tell_failure(refused)
        counts = aws.counts()
        self._arrived, self._dropped = counts["accepted"] - before, counts["lost"]

    def _come_back(self, hour: str, environment: dict[str, str], customer: Customer) -> None:
        log = HOME / "connect-again.log"
        with (
            step("Running currents_connect_demo again, and associating again"),
            running(*CONNECT, environment=environment, log=log) as run,
        ):
            run.wait_until(lambda: _of(log, "associate"), "the source was not offered again")
            customer.associate()
            run.finish()
        _tell_tasks(log, "wait")
        with step(f"Exporting hour {hour} again, which goes on where it ended"):
            export_hour(hour, environment)

    def show(self) -> None:
        """Prints three events as the customer's rule delivered them, and what became of those that were sent twice."""
        console.print("\nThree events, as the customer's rule delivered them to an SQS queue")
        for event in self._consumer.first:
            console.print_json(json.dumps(event), indent=None, ensure_ascii=False)
        seen = self._consumer.seen
        repeated = seen.total() - len(seen)
        console.print(LOST.format(arrived=self._arrived, dropped=self._dropped, repeated=repeated, seen=len(seen)))

    def faults(self) -> list[str]:
        """Whether the customer has each event that was sent, and whether nothing was sent before he could."""
        seen, sent = self._consumer.seen, sum(manifest["totals"]["sent"] for manifest in self._manifests)
        faults = [] if len(seen) == sent else [f"events sent: {sent:,}, but the customer saw: {len(seen):,}"]
        if requests := self._requests_while_refused:
            faults.append(f"put requests before the source was ACTIVE: {requests:,}")
        return faults

    def may_repeat(self) -> int:
        """What the run whose bus was deleted had on it."""
        return self._arrived


def _of(log: Path, *tasks: str) -> list[Told]:
    return [each for each in told_in(log) if each.task in tasks]


def _tell_failure(told: Told) -> None:
    console.print(f"Task `{told.task}` failed")
    tell(told)


def _tell_tasks(log: Path, *tasks: str) -> None:
    """Prints what tasks logged, each of them once; of `wait`, only how it ended."""
    for task in tasks:
        console.print(f"Task `{task}` logged")
        for told in _of(log, task)[-1 if task == "wait" else 0 :]:
            tell(told)
