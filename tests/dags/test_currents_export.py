"""The export DAG, run by Airflow against local AWS."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest

from tests.dags.conftest import Airflow
from tests.tools.sample import make_files

HOUR = "2026-11-23-08"
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
    following = airflow.export("2026-11-23-09")
    assert following.returncode == 0, following.stdout
    assert airflow.manifest(HOUR)["totals"]["sent"] == events + late
    assert airflow.manifest("2026-11-23-09")["totals"]["read"] == 0
    assert set(accepted(airflow).values()) == {1}


def test_an_hour_without_files_succeeds_with_a_note_and_an_empty_manifest(airflow: Airflow) -> None:
    run = airflow.export(HOUR)
    assert run.returncode == 0, run.stdout
    assert f"{HOUR}: nothing to deliver" in run.stdout
    manifest = airflow.manifest(HOUR)
    assert (manifest["complete"], manifest["totals"]["read"], manifest["event_types"]) == (True, 0, {})


def test_a_damaged_file_fails_the_run_by_name_and_the_others_are_delivered(airflow: Airflow) -> None:
    events = put_sample(airflow)
    damaged = f"in/event_type={TYPES[0]}/date={HOUR}/damaged.parquet"
    airflow.put(damaged, b"PAR1 and then nothing")
    run = airflow.export(HOUR)
    assert run.returncode != 0
    assert f"s3://{airflow.bucket}/{damaged}: not a readable Parquet file" in run.stdout
    assert len(accepted(airflow)) == events
    manifest = airflow.manifest(HOUR)
    assert not manifest["complete"]
    assert list(manifest["files"]["open"]) == [damaged]

    following = airflow.export("2026-11-23-09")
    assert following.returncode == 0, "an old damaged file does not fail the hours after it"

    airflow.aws.client("s3").delete_object(Bucket=airflow.bucket, Key=damaged)
    [mended] = make_files([HOUR], TYPES[:1], rows=10, prefix="in/", first=9)
    airflow.put(damaged, mended.body)
    rerun = airflow.export(HOUR)
    assert rerun.returncode != 0, "the first version of the object was never delivered"
    assert len(accepted(airflow)) == events + 10


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
    [found] = s3.list_objects_v2(Bucket=airflow.bucket, Prefix=f"state/test/dead_letters/date={HOUR}/")["Contents"]
    letter = json.loads(gzip.decompress(s3.get_object(Bucket=airflow.bucket, Key=found["Key"])["Body"].read()))
    assert (letter["code"], letter["origin"]["key"], letter["origin"]["row"]) == ("no_id", file.key, 0)


@pytest.mark.parametrize(
    ("changes", "environment", "complaint"),
    [
        ({"source": {"bucket": "no-such-bucket"}}, {}, "listing s3://no-such-bucket/in/: NoSuchBucket"),
        ({"state": {"bucket": "no-such-bucket"}}, {}, "s3://no-such-bucket/state/test/"),
        ({"destination": {"name": "no-such-bus"}}, {}, "the event bus no-such-bus in us-east-1: ResourceNotFound"),
        ({"destination": {"region": "eu-west-1"}}, {}, "in eu-west-1: ResourceNotFoundException"),
        ({"source": {"aws_conn_id": "none"}}, {"AWS_ACCESS_KEY_ID": ""}, "Unable to locate credentials"),
    ],
    ids=["source bucket", "state bucket", "bus", "region", "credentials"],
)
def test_a_wrong_set_up_fails_at_once_in_one_line_that_names_it(
    airflow: Airflow, changes: dict[str, dict[str, str]], environment: dict[str, str], complaint: str
) -> None:
    airflow.connect(**changes)
    put_sample(airflow)
    if environment:
        airflow.environment = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
        airflow.environment |= {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    run = airflow.export(HOUR)
    assert run.returncode != 0
    lines = [line for line in run.stdout.splitlines() if complaint in line]
    assert lines, run.stdout[-3000:]
    assert ";" in lines[0], "the line says what to do"
    assert "up_for_retry" not in run.stdout.lower()
    assert airflow.aws.accepted() == []


def test_personal_data_is_hashed_with_the_password_of_a_connection(airflow: Airflow) -> None:
    rules = [{"action": "hash", "fields": ["user_id"]}]
    airflow.connect(personal_data={"rules": rules, "hash_key_conn_id": "hash_key"})
    put_sample(airflow, rows=10)
    failed = airflow.export(HOUR)
    assert "there is no Airflow connection hash_key with a password; make it" in failed.stdout
    assert failed.returncode != 0, "without its key nothing may go out"
    assert airflow.aws.accepted() == []
    airflow.environment = {"AIRFLOW_CONN_HASH_KEY": "generic://:a-secret-key@"}
    run = airflow.export(HOUR)
    assert run.returncode == 0, run.stdout
    assert "a-secret-key" not in run.stdout
    users = [json.loads(entry["Detail"])["user"]["user_id"] for entry in airflow.aws.accepted()]
    assert users
    assert {len(user) for user in users} == {64}


def test_a_faulty_connector_is_an_import_error_and_breaks_no_other(airflow: Airflow) -> None:
    path = airflow.home / "connectors.yaml"
    path.write_text(path.read_text() + "- name: Broken!\n  lookback_hours: -1\n")
    errors = airflow.run("dags", "list-import-errors", "--local", "--output", "plain").stdout
    assert "currents_connectors.py" in errors, errors
    for fault in ("connectors[1].name", "connectors[1].source", "connectors[1].lookback_hours"):
        assert fault in errors
    dags = airflow.run("dags", "list", "--local", "--output", "plain").stdout
    assert "currents_export_test" in dags


def test_an_hour_that_is_none_is_refused_before_anything_runs(airflow: Airflow) -> None:
    run = airflow.export("yesterday")
    assert run.returncode != 0
    assert "Invalid input for param hour: 'yesterday' does not match" in run.stdout
    assert airflow.aws.counts()["requests"] == 0


def test_a_sweep_finds_what_came_too_late_for_any_run(airflow: Airflow) -> None:
    late = put_sample(airflow, "2026-11-21-05")
    run = airflow.sweep("2026-11-23T09:40:00+00:00")
    assert run.returncode == 0, run.stdout
    assert len(accepted(airflow)) == late
    assert airflow.manifest("2026-11-21-05")["totals"]["sent"] == late
    assert [key for key in airflow.keys("state/test/manifests/") if HOUR in key] == []
