"""Runs the project's DAGs as a user would, with Airflow's own command line, each test in an Airflow of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools.airflow_env import airflow_env
from tests.tools.local_aws import LocalAws


@dataclass
class Airflow:
    """An Airflow in ``home`` with one connector, `test`, between a bucket of files, a bus and a bucket of state."""

    home: Path
    aws: LocalAws
    bucket: str
    bus: str
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.connect()

    def connect(self, **changes: Any) -> None:
        """Writes the connectors file; ``changes`` go over the connector's settings."""
        connector = {
            "name": "test",
            "source": {"bucket": self.bucket, "prefix": "in"},
            "destination": {"kind": "event_bus", "name": self.bus, "region": "us-east-1"},
            "state": {"bucket": self.bucket, "prefix": "state"},
        }
        for name, change in changes.items():
            connector[name] = {**connector[name], **change} if isinstance(connector.get(name), dict) else change  # type: ignore[dict-item]
        (self.home / "connectors.yaml").write_text(yaml.safe_dump({"connectors": [connector]}))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `airflow …`; both its outputs are in ``stdout``."""
        return subprocess.run(
            ["airflow", *arguments],
            env=self.whole_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def whole_environment(self) -> dict[str, str]:
        """The environment that `airflow …` runs in."""
        return {
            **airflow_env(self.home),
            **self.aws.environment(),
            "CURRENTS_CONNECTORS": str(self.home / "connectors.yaml"),
            **self.environment,
        }

    def export(self, hour: str, **params: Any) -> subprocess.CompletedProcess[str]:
        """Runs the export DAG for one hour, headless."""
        return self.run("dags", "test", "currents_export_test", "--conf", json.dumps({"hour": hour, **params}))

    def keys(self, prefix: str) -> list[str]:
        """The keys of the bucket below ``prefix``."""
        found = self.aws.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", ())]

    def put(self, key: str, body: bytes) -> None:
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def manifest(self, hour: str) -> dict[str, Any]:
        key = f"state/test/manifests/date={hour}.json"
        return dict(json.loads(self.aws.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, made once: a copy of it takes no time."""
    home = tmp_path_factory.mktemp("migrated")
    subprocess.run(
        ["airflow", "db", "migrate"], env={**os.environ, **airflow_env(home)}, check=True, capture_output=True
    )
    return home / "airflow.db"


@pytest.fixture
def airflow(tmp_path: Path, migrated: Path, aws: LocalAws, bucket: str, bus: str) -> Airflow:
    shutil.copy(migrated, tmp_path / "airflow.db")
    return Airflow(tmp_path, aws, bucket, bus)
