"""Airflow's database is lost in the middle of a delivery, and an empty one takes its place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.dags.stage import HOUR, TYPES, Export, Stage, set_up
from tests.tools.awaiting import wait_for
from tests.tools.local_aws import LocalAws, local_aws
from tests.tools.sample import make_files
from tests.tools.scheduler import scheduler

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1_800)]

NAME, ROWS = "lost", 2_000
# Requests a second, of ten events each.
RATE = 6


def test_the_same_backfill_over_an_empty_database_sends_what_is_left_alone(migrated: Path, tmp_path: Path) -> None:
    with local_aws() as aws:
        bucket, connectors = set_up(aws, {NAME: {"budget": {"requests_per_second": RATE}}})
        for file in make_files([HOUR], TYPES[:1], rows=ROWS, prefix=f"{NAME}/"):
            aws.client("s3").put_object(Bucket=bucket, Key=file.key, Body=file.body)
        with new_airflow(migrated, tmp_path / "lost", aws, connectors) as export:
            export.dag.start_backfill("2026-06-01T08", "2026-06-01T09", reprocess_behavior="none")
            wait_for(400, lambda: len(export.accepted()) > 100)
        sent = len(export.accepted())
        assert sent < ROWS
        with new_airflow(migrated, tmp_path / "empty", aws, connectors) as export:
            [run] = export.dag.backfill("2026-06-01T08", "2026-06-01T09", reprocess_behavior="none")
            assert run["state"] == "success"
        assert len(export.ids()) == ROWS
        # It was killed, and saves twice a second; what it was saving at the time may not be there either.
        assert len(export.accepted()) - ROWS <= 1.5 * RATE * 10
        assert export.manifest(HOUR)["totals"]["sent"] == ROWS


@contextmanager
def new_airflow(migrated: Path, home: Path, aws: LocalAws, connectors: Sequence[Mapping[str, Any]]) -> Iterator[Export]:
    """The export DAG of the connector, switched on, in an Airflow that knows of nothing."""
    home.mkdir()
    shutil.copy(migrated, home / "airflow.db")
    bucket = connectors[0]["source"]["bucket"]
    with scheduler(home, aws, [dict(each) for each in connectors]) as running:
        export = Export(Stage(aws, bucket, running), NAME)
        export.dag.switch_on()
        yield export
