from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from currents_aws.memory import MemoryObjects
from currents_core.books.head import Head
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.manifest import reconcile
from currents_core.books.manifests import Manifests
from currents_core.books.run_record import RunPass, RunRecord
from currents_core.file_key import SourceFile
from tests.tools.house import settle
from tests.tools.manifests import HOUR, NOW, account, file, write_manifest


def test_a_complete_hour_is_announced_until_that_is_done_and_again_when_more_was_delivered() -> None:
    store = MemoryObjects()
    ledger, manifests = Ledger(MemoryObjects(), Layout()), Manifests(store, Layout())

    def due(*planned: SourceFile, announce: bool = True, later: int = 0) -> bool:
        now = NOW + timedelta(hours=later)
        return write_manifest(manifests, HOUR, ledger, now, planned=planned, connector="demo", announce=announce)

    def announced() -> None:
        manifests.announced(reconcile("demo", HOUR, [], ledger), NOW)

    assert not due(), "an hour without files brought nothing"
    assert not due(file("1")), "a file is open"
    settle(ledger, file("1"), account("a", 1, 1))
    assert not due(announce=False), "the run is none that announces"
    assert not due(later=-1), "the hour is not over"
    assert due(later=1)
    assert due(later=2), "the task that was to announce it may have died"
    announced()
    assert not due(announce=False, later=3)
    assert not due(later=4), "nothing new since it was announced"
    before = reconcile("demo", HOUR, [], ledger)
    settle(ledger, file("2"), account("a", 2, 2))
    assert not due(announce=False, later=5)
    manifests.announced(before, NOW)
    told = store.read(manifests.key(HOUR))
    assert told
    assert json.loads(told)["totals"]["sent"] == 3, "it stays the manifest of what there is now"
    assert due(later=6), "what was announced was the hour without its late file"
    announced()
    assert not due(later=7)


def test_two_runs_that_write_a_manifest_at_the_same_time_both_find_room() -> None:
    class Busy(MemoryObjects):
        others = 2

        def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
            if self.others:
                self.others -= 1
                self.write(key, json.dumps(manifest.as_json(NOW - timedelta(hours=self.others))).encode())
            return super().write_version(key, body, replaces)

    store, ledger = Busy(), Ledger(MemoryObjects(), Layout())
    manifest = reconcile("demo", HOUR, [], ledger)
    write_manifest(Manifests(store, Layout()), HOUR, ledger, NOW, connector="demo")
    assert json.loads(store.contents[f"manifests/date={HOUR}.json"])["complete"]


def test_what_was_computed_before_another_run_wrote_replaces_nothing_newer() -> None:
    class Overtaken(Ledger):
        def heads(self, hour: str) -> list[Head]:
            found = super().heads(hour)
            if other:
                settle(self, other.pop(), account("a", 2, 2))
                write_manifest(manifests, HOUR, Ledger(self.store, Layout()), NOW)
            return found

    store, manifests = MemoryObjects(), Manifests(MemoryObjects(), Layout())
    settle(Ledger(store, Layout()), file("1"), account("a", 1, 1))
    other = [file("2")]
    write_manifest(manifests, HOUR, Overtaken(store, Layout()), NOW)
    told = manifests.read(HOUR)
    assert told
    assert told["totals"]["sent"] == 3


def test_it_says_what_its_last_runs_did_each_of_them_once() -> None:
    store = MemoryObjects()
    manifests, ledger = Manifests(store, Layout()), Ledger(MemoryObjects(), Layout())

    def told() -> dict[str, Any]:
        return manifests.read(HOUR) or {}

    for number in (*range(12), 11):
        write_manifest(
            manifests, HOUR, ledger, NOW, run=RunPass(RunRecord(f"run {number}", "manual", NOW.isoformat(), "ada"))
        )
    write_manifest(manifests, HOUR, ledger, NOW)
    assert [each["run"] for each in told()["runs"]] == [f"run {number}" for number in range(2, 12)]
    assert told()["runs"][0]["by"] == "ada"
    assert told()["seq"] == 14


def test_what_runs_did_is_no_reason_to_announce_an_hour_again() -> None:
    store = MemoryObjects()
    ledger, manifests = Ledger(MemoryObjects(), Layout()), Manifests(store, Layout())
    settle(ledger, file("1"), account("a", 1, 1))
    late = NOW + timedelta(hours=1)
    assert write_manifest(manifests, HOUR, ledger, late, announce=True)
    manifests.announced(reconcile("test", HOUR, [], ledger), late)
    # As an earlier version wrote it.
    old = {name: each for name, each in (manifests.read(HOUR) or {}).items() if name not in {"slices", "runs", "seq"}}
    store.write(manifests.key(HOUR), json.dumps(old).encode())
    run = RunPass(RunRecord("run", "manual", "t"))
    later = late + timedelta(hours=1)
    assert not write_manifest(Manifests(store, Layout()), HOUR, ledger, later, announce=True, run=run)
    told = manifests.read(HOUR) or {}
    assert told["slices"]["a"]["delivered_at"] == late.isoformat(timespec="seconds"), "nothing came since"
