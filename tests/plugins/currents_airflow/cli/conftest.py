"""A connectors file of two, and what one of them has delivered to local AWS."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from currents_airflow.cli import status
from currents_aws.s3 import S3Objects
from currents_core.books.index import IndexObject
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.manifests import Manifests
from currents_core.books.overviews import Overviews
from currents_core.books.run_record import RunPass, RunRecord
from currents_core.file_key import SourceFile
from currents_core.hour import format_hour, hours_back
from tests.tools.house import OPEN, House, table
from tests.tools.local_aws import LocalAws
from tests.tools.manifests import write_manifest

NOW = datetime.now(UTC).replace(microsecond=0)
[EARLIER, HOUR] = hours_back(format_hour(NOW), 2)


@dataclass
class Told:
    """What the commands are told of: a connectors file, and the books of its first connector."""

    path: Path
    bucket: str
    house: House
    store: S3Objects

    @property
    def folder(self) -> str:
        """The place of the hour's files."""
        return f"s3://{self.bucket}/in/event_type={OPEN}/date={HOUR}"


def put(store: S3Objects, name: str, rows: pa.Table) -> SourceFile:
    """Puts a file of the hour into the source."""
    body, key = BytesIO(), f"in/event_type={OPEN}/date={HOUR}/{name}"
    pq.write_table(rows, body)
    store.write(key, body.getvalue())
    [stored] = store.objects(key)
    return SourceFile(store.bucket, key, stored.etag, stored.size)


@pytest.fixture
def told(aws: LocalAws, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    path = tmp_path / "connectors.yaml"
    path.write_text(
        f"""
connectors:
  - name: orders
    source: {{bucket: {bucket}, prefix: in/, aws_conn_id: null}}
    destination: {{kind: event_bus, name: bus, region: us-east-1, aws_conn_id: null}}
    state: {{bucket: {bucket}, prefix: state/, aws_conn_id: null}}
    filter: [{{field: user_id, not_in: [v]}}]
"""
    )
    monkeypatch.setenv("CURRENTS_CONNECTORS", str(path))
    monkeypatch.setattr(status, "live_runs", lambda _: [])
    events = aws.client("events")
    with suppress(events.exceptions.ResourceAlreadyExistsException):
        events.create_event_bus(Name="bus")
    store, layout = S3Objects(aws.client("s3"), bucket), Layout("state/orders/")
    house = House(
        source={"bucket": bucket, "prefix": "in/"},
        state={"bucket": bucket, "prefix": "state/"},
        filter=[{"field": "user_id", "not_in": ["v"]}],
    )
    house.ledger = Ledger(store, layout)
    house.source = store  # type: ignore[assignment]
    house.deliver(put(store, "a.parquet", table(["x", "y", None, "x", "nobody's"], user_id=["u", "u", "u", "u", "v"])))
    run = RunRecord("scheduled__1", "scheduled", NOW.isoformat())
    write_manifest(Manifests(store, layout), HOUR, house.ledger, NOW, connector="orders", run=RunPass(run))
    Overviews(store, layout).catch_up(HOUR, HOUR)
    IndexObject(store, layout).change(lambda index: index.with_begun([EARLIER]).with_accounted({HOUR: 1}, {}, []))
    return Told(path, bucket, house, store)
