from __future__ import annotations

import json
from typing import Any

import pytest

from currents_airflow.parts import RunParts
from currents_core.books import ledger, seen_ids
from currents_core.finding import discover
from currents_core.setup.run_request import run_request
from tests.include.currents_core.delivering.test_deliver import HOUR, connector
from tests.tools.local_aws import LocalAws


def s3_config(monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]) -> Any:
    """What a client is made with when the connection has this extra."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": extra}))
    settings = connector()
    client: Any = RunParts(settings, run_request({}, HOUR, settings), "run").source._client
    return client.meta.config


def test_each_thread_finds_a_connection_to_s3(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = max(discover._PARALLEL_LISTINGS, ledger._PARALLEL_READS, seen_ids._PARALLEL_READS)
    assert s3_config(monkeypatch, {}).max_pool_connections >= threads


def test_what_the_connection_says_of_its_clients_holds(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"read_timeout": 7, "max_pool_connections": 50}
    found = s3_config(monkeypatch, {"config_kwargs": told})
    assert {name: getattr(found, name) for name in told} == told
