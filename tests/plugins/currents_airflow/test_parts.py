from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from currents_airflow.connectors import one_connector
from currents_airflow.parts import RunParts
from currents_aws.cbor_wire import CborWire
from currents_aws.s3 import S3Objects
from currents_core.crew import MOST_THREADS
from currents_core.errors import SetupError
from currents_core.finding import find_files
from currents_core.setup.run_request import redrive_request, run_request
from tests.tools.house import HOUR, OPEN, connector
from tests.tools.local_aws import LocalAws

# The machine's own credentials, wherever a connection would be.
_OWN: dict[str, Any] = {
    "source": {"bucket": "braze", "prefix": "in", "aws_conn_id": None},
    "destination": {"kind": "event_bus", "name": "bus", "region": "us-east-1", "aws_conn_id": None},
}


def s3_config(monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]) -> Any:
    """What a client is made with when the connection has this extra."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": extra}))
    settings = connector()
    client: Any = RunParts(settings, run_request({}, HOUR, settings), "run").source._client
    return client.meta.config


def test_each_thread_finds_a_connection_to_s3(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = max(find_files._PARALLEL_LISTINGS, MOST_THREADS)
    assert s3_config(monkeypatch, {}).max_pool_connections >= threads


def test_what_the_connection_says_of_its_clients_holds(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"read_timeout": 7, "max_pool_connections": 50}
    found = s3_config(monkeypatch, {"config_kwargs": told})
    assert {name: getattr(found, name) for name in told} == told


@pytest.mark.parametrize("prefix", ["", "state", "state/orders"])
def test_state_is_never_read_as_events_wherever_it_lies(
    aws: LocalAws, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    root = f"{prefix}/" if prefix else ""
    places = {name: {"bucket": bucket, "prefix": prefix, "aws_conn_id": None} for name in ("source", "state")}
    orders = {"name": "orders", **places, "destination": _OWN["destination"]}
    faulty = {**orders, "name": "mails", "destination": {"kind": "none"}}
    path = tmp_path / "connectors.yaml"
    path.write_text(json.dumps({"connectors": [orders, faulty]}))
    monkeypatch.setenv("CURRENTS_CONNECTORS", str(path))
    folder = f"event_type={OPEN}/date={HOUR}"
    source = one_connector("orders").source
    store = S3Objects(aws.client("s3"), bucket)
    wanted = f"{root}dataexport/{folder}/a.parquet"
    for key in (
        wanted,
        *(
            f"{root}{name}/{place}"
            for name in ("orders", "mails")
            for place in (
                f"slices/date={HOUR}/event_type={OPEN}/head.json",
                f"plans/date={HOUR}/1.json",
                f"replays/1/{folder}/1.json",
            )
        ),
    ):
        store.write(key, b"x")
    settings = one_connector("orders")
    looked = RunParts(settings, run_request({}, HOUR, settings), "run").source
    assert [each.key for each in find_files.find_files(looked, source.prefix, [HOUR], lambda _: True)] == [wanted]


def parts(monkeypatch: pytest.MonkeyPatch, *, has: Sequence[str], **named: str | None) -> RunParts:
    """The parts of a connector with these connections named, where only some exist."""
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT", raising=False)
    for conn_id in has:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", "aws://")
    changes: dict[str, Any] = {
        "source": {"bucket": "braze", "prefix": "in"},
        "destination": {"kind": "event_bus", "name": "bus", "region": "us-east-1"},
        "state": {"bucket": "state"},
    }
    for place, told in named.items():
        changes[place]["aws_conn_id"] = told
    settings = connector(**changes)
    return RunParts(settings, run_request({}, HOUR, settings), "run")


def test_redrives_of_a_letter_have_one_salt_and_replays_one_each(aws: LocalAws) -> None:
    """So that a redrive hands on once what one that broke had got through, and "send again" sends again."""
    arn = f"arn:aws:events:us-east-1:123456789012:event-busv2/bus/{'a' * 25}"
    destination = {"kind": "custom_bus", "name": arn, "region": "us-east-1", "aws_conn_id": None}
    state = {"bucket": "state", "aws_conn_id": None}
    told = {**_OWN, "destination": destination, "state": state, "budget": {"entries_per_second": 100}}
    settings = connector(**told)
    live, again = run_request({}, HOUR, settings), run_request({"replay": True, "reason": "x"}, HOUR, settings)
    redrive = redrive_request({}, HOUR)
    found = list[str]()
    for request, run_id in ((live, "1"), (live, "2"), (redrive, "3"), (redrive, "4"), (again, "5"), (again, "6")):
        target = RunParts(settings, request, run_id).bus
        assert isinstance(target.wire, CborWire)
        found += target.wire.deduplication_ids("t", pa.array(["x"])).to_pylist()
        target.close()
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert len(set(found)) == 4


@pytest.mark.parametrize("part", ["source", "state", "bus"])
@pytest.mark.parametrize("place", ["source", "destination", "state"])
def test_a_connection_that_does_not_exist_is_not_the_machines_own(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, part: str, place: str
) -> None:
    made = parts(
        monkeypatch, has=["orders"], **{"source": "orders", "destination": "orders", "state": None, place: "ordres"}
    )
    with pytest.raises(SetupError) as told:
        getattr(made, part)
    assert str(told.value) == (
        f"test: {place}.aws_conn_id: there is no Airflow connection ordres; did you mean `orders`?; create it, "
        "correct its name, or set aws_conn_id: null to use the machine's own credentials"
    )


def test_every_missing_connection_is_named_once(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError) as told:
        _ = parts(monkeypatch, has=[], destination="mine").source
    assert "source.aws_conn_id, state.aws_conn_id: there is no Airflow connection aws_default" in str(told.value)
    assert "destination.aws_conn_id: there is no Airflow connection mine" in str(told.value)


def test_null_asks_for_the_machines_own_credentials(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    made = parts(monkeypatch, has=[], source=None, destination=None, state=None)
    assert made.source.bucket == "braze"
    assert made.bus


def test_hours_of_days_that_have_ended_are_refused_but_to_replays(aws: LocalAws, bucket: str) -> None:
    settings = connector(state={"bucket": bucket, "retention_days": 5, "aws_conn_id": None}, **_OWN)
    found = RunParts(settings, run_request({}, "2020-01-01-00", settings), "run")
    with pytest.raises(SetupError, match=r"the state of 2020-01-01-00 has ended: state\.retention_days keeps"):
        found.ledger.heads("2020-01-01-00")
    assert found.retention
    assert found.retention.end_next() is None
    request = run_request({"replay": True, "reason": "lost"}, "2020-01-01-00", settings)
    assert RunParts(settings, request, "run").ledger.heads("2020-01-01-00") == []


def test_without_a_retention_nothing_ends(aws: LocalAws, bucket: str) -> None:
    settings = connector(state={"bucket": bucket, "aws_conn_id": None}, **_OWN)
    found = RunParts(settings, run_request({}, "2020-01-01-00", settings), "run")
    assert found.retention is None
    assert found.ledger.heads("2020-01-01-00") == []
    assert found.compaction.compact_next("2020-01-01-00") is None
