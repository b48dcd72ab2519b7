from __future__ import annotations

import json

import pytest

from currents_aws.memory import MemoryObjects
from currents_core.books.compact import days_by_the_hour
from currents_core.books.format import DamagedError
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.manifest import reconcile
from currents_core.books.manifest_objects import listed_manifests, parse_manifest
from currents_core.books.manifests import Manifests
from tests.tools.house import HOUR, NOW

LATER = "2026-11-24-00"


@pytest.mark.parametrize("missing", ["complete", "totals", "files", "notes", "written_at"])
def test_a_manifest_that_lacks_something_is_damaged(missing: str) -> None:
    whole = reconcile("test", HOUR, [], Ledger(MemoryObjects(), Layout())).as_json(NOW)
    assert parse_manifest(json.dumps(whole).encode(), "s3://b/k") == whole
    for wrong in ({name: each for name, each in whole.items() if name != missing}, {**whole, missing: 3}):
        with pytest.raises(DamagedError, match=r"s3://b/k: this state is damaged .*; restore an earlier version"):
            parse_manifest(json.dumps(wrong).encode(), "s3://b/k")


def test_whatever_else_lies_among_them_is_no_manifest() -> None:
    store = MemoryObjects()
    for name in (HOUR, LATER):
        store.write(Layout().manifest(name), b"{}")
    for key in (f"{Layout().manifest(HOUR)}.bak", "manifests/date=2026-11-22-24.json", "manifests/read me"):
        store.write(key, b"somebody's")
    assert [hour for hour, _ in listed_manifests(store, Layout())] == [HOUR, LATER]
    assert [hour for hour, _ in listed_manifests(store, Layout(), HOUR[:10])] == [HOUR]
    assert [hour for hour, _ in listed_manifests(store, Layout(), since=LATER)] == [LATER]
    assert Manifests(store, Layout()).first_hour("2026-11-20-00") == HOUR
    assert days_by_the_hour(store, Layout(), "2026-12-01-00") == [HOUR[:10], LATER[:10]]
