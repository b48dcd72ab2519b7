"""The export DAG, run by Airflow against local AWS."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import Any

import pytest

from tests.dags.conftest import Airflow
from tests.tools.airflow_env import PYTHONPATH, ROOT
from tests.tools.sample import make_files

HOUR = "2026-06-02-08"
TYPES = ["users.behaviors.Purchase", "users.messages.email.Open"]


def put_sample(airflow: Airflow, hour: str = HOUR, *, first: int = 0, rows: int = 60) -> int:
    """Puts a file per event type and returns how many distinct events are in them."""
    files = list(make_files([hour], TYPES, rows=rows, repeat=0.1, prefix="in/", first=first))
    for number, file in enumerate(files):
        # Braze writes Avro; others convert to Parquet.
        if number % 2:
            airflow.put(file.key.replace(".parquet", ".avro"), file.avro())
        else:
            airflow.put(file.key, file.body)
    return sum(file.table.num_rows - file.repeats for file in files)


def accepted(airflow: Airflow) -> Counter[str]:
    return Counter(json.loads(entry["Detail"])["id"] for entry in airflow.aws.accepted())


def test_an_hour_goes_to_the_bus_once_with_late_files_and_is_accounted_for(airflow: Airflow) -> None:
    events = put_sample(airflow)
    run = airflow.export(HOUR)
    assert run.returncode == 0, run.stdout
    assert airflow.manifest(HOUR)["totals"] == {
        "read": 120,
        "sent": events,
        "duplicate": 120 - events,
        "filtered": 0,
        "dead_lettered": 0,
    }
    assert list(airflow.manifest(HOUR)["event_types"]) == TYPES
    assert set(accepted(airflow).values()) == {1}
    assert len(accepted(airflow)) == events

    again = airflow.export(HOUR)
    assert again.returncode == 0, again.stdout
    assert "nothing to deliver: every file below" in again.stdout
    assert len(airflow.aws.accepted()) == events, "a rerun sends nothing twice"

    late = put_sample(airflow, first=1)
    following = airflow.export(HOUR)
    assert following.returncode == 0, following.stdout
    assert airflow.manifest(HOUR)["totals"]["sent"] == events + late
    assert set(accepted(airflow).values()) == {1}


def test_rows_that_can_not_go_are_dead_letters_and_broken_json_is_kept(airflow: Airflow) -> None:
    [file] = make_files([HOUR], TYPES[:1], rows=4, prefix="in/")
    columns = {name: file.table[name].to_pylist() for name in file.table.column_names}
    columns["id"][0], columns["properties"][1] = None, "[REDACTED]"
    spoilt = type(file)(file.key, file.event_type, HOUR, type(file.table).from_pydict(columns, file.table.schema), 0)
    airflow.put(spoilt.key, spoilt.body)
    run = airflow.export(HOUR)
    assert run.returncode == 0, run.stdout
    manifest = airflow.manifest(HOUR)
    assert (manifest["totals"]["sent"], manifest["totals"]["dead_lettered"]) == (3, 1)
    assert manifest["notes"] == {"properties_kept_as_string": 1}
    s3 = airflow.aws.client("s3")
    [key] = [key for key in airflow.keys(f"state/test/slices/date={HOUR}/") if key.endswith(".letters")]
    letter = json.loads(gzip.decompress(s3.get_object(Bucket=airflow.bucket, Key=key)["Body"].read()))
    assert (letter["code"], letter["origin"]["key"], letter["origin"]["row"]) == ("no_id", file.key, 0)


def test_no_credentials_are_told_in_one_line(airflow: Airflow) -> None:
    airflow.connect(source={"aws_conn_id": None})
    put_sample(airflow)
    airflow.environment = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    airflow.environment |= {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    run = airflow.export(HOUR)
    assert run.returncode != 0
    [line, *_] = [line for line in run.stdout.splitlines() if "Unable to locate credentials" in line]
    assert ";" in line, "the line says what to do"
    assert "up_for_retry" not in run.stdout.lower()


def test_a_faulty_connector_is_an_import_error_and_breaks_no_other(airflow: Airflow) -> None:
    path = airflow.home / "connectors.yaml"
    path.write_text(path.read_text() + "- name: Broken!\n  lookback_hours: -1\n")
    errors = airflow.run("dags", "list-import-errors", "--local", "--output", "plain").stdout
    assert "currents_connectors.py" in errors, errors
    for fault in ("connectors[1].name", "connectors[1].source", "connectors[1].lookback_hours"):
        assert fault in errors
    dags = airflow.run("dags", "list", "--local", "--output", "plain").stdout
    assert "currents_export_test" in dags


def import_errors(airflow: Airflow) -> list[Any]:
    told = airflow.run("dags", "list-import-errors", "--local", "--output", "json").stdout
    return list(json.loads(told[told.index("[{") :]))


def test_a_dag_processor_without_the_plugin_is_one_import_error(airflow: Airflow) -> None:
    airflow.environment = {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(airflow.home / "plugins"),
        "PYTHONPATH": f"{PYTHONPATH}:{ROOT / 'plugins'}",
    }
    [error] = import_errors(airflow)
    assert error["filepath"].endswith("/dags/currents_export.py")
    assert "the Airflow plugin `currents` is not loaded here; install the package currents-export" in error["error"]


def test_where_no_connectors_file_is_named_one_import_error_says_how_to(airflow: Airflow) -> None:
    airflow.environment = {"CURRENTS_CONNECTORS": ""}
    [error] = import_errors(airflow)
    assert error["filepath"].endswith("/dags/currents_connectors.py")
    assert "no connectors file is named; put its path into Airflow's configuration" in error["error"]


def test_an_hour_that_is_none_is_refused_before_anything_runs(airflow: Airflow) -> None:
    run = airflow.export("yesterday")
    assert run.returncode != 0
    assert "Invalid input for param hour: 'yesterday' does not match" in run.stdout
    assert airflow.aws.counts()["requests"] == 0


@pytest.mark.slow
def test_a_custom_bus_takes_an_hour_once_and_a_replay_of_it_again(airflow: Airflow) -> None:
    arn = airflow.aws.client("eventbridgev2").create_event_bus(Name=airflow.bus)["EventBusArn"]
    airflow.aws.forward(5)
    airflow.connect(destination={"kind": "custom_bus", "name": arn}, budget={"entries_per_second": 1_000})
    events = put_sample(airflow)
    run = airflow.export(HOUR)
    assert run.returncode == 0, run.stdout
    assert airflow.manifest(HOUR)["totals"]["sent"] == len(accepted(airflow)) == events
    assert set(accepted(airflow).values()) == {1}
    again = airflow.export(HOUR, replay=True, reason="a consumer lost them")
    assert again.returncode == 0, again.stdout
    assert set(accepted(airflow).values()) == {2}, "what is sent on purpose is not swallowed"
