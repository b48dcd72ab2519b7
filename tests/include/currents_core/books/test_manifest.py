from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Set

import pytest

from currents_aws.memory import MemoryObjects
from currents_core.books.account import Account, Counts
from currents_core.books.head import Head
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.manifest import Before, Manifest, reconcile
from currents_core.books.manifests import Manifests
from currents_core.errors import CurrentsError
from currents_core.file_key import SourceFile, by_slice
from currents_core.ports import ObjectStore
from tests.tools.house import OPEN, House, settle, table
from tests.tools.manifests import HOUR, NOW, account, file, write_manifest


def files_of(source: MemoryObjects) -> Callable[[Set[str]], Iterable[SourceFile]]:
    return lambda keys: (
        SourceFile(source.bucket, each.key, each.etag, each.size) for each in source.objects("") if each.key in keys
    )


def test_an_hour_is_the_sum_of_its_delivered_files() -> None:
    ledger = Ledger(MemoryObjects(), Layout())
    first, second = account("a", 3, 3), account("b", 2, 2)
    first.differs("a", ["new field x"])
    second.differs("a", ["new field y", "new field x"])
    first.personal_data.update({"rule 1 (drop x)": 2, "rule 2 (drop y)": 0})
    second.personal_data.update({"rule 2 (drop y)": 0})
    settle(ledger, file("1"), first)
    settle(ledger, file("2"), second)
    settle(ledger, file("3", "2026-11-23-07"), account("b", 9, 9))
    manifest = reconcile("demo", HOUR, [file("1"), file("2")], ledger)
    assert manifest.complete
    store = MemoryObjects()
    manifests = Manifests(store, Layout("export/demo/"))
    manifests.write(manifests.draft(HOUR, lambda _: manifest), NOW)
    zero = {"duplicate": 0, "filtered": 0, "dead_lettered": 0}
    assert json.loads(store.contents[f"export/demo/manifests/date={HOUR}.json"]) == {
        "connector": "demo",
        "hour": HOUR,
        "complete": True,
        "totals": {"read": 5, "sent": 5, **zero},
        "event_types": {"a": {"read": 3, "sent": 3, **zero}, "b": {"read": 2, "sent": 2, **zero}},
        "notes": {"kept": 2},
        "drift": {"a": ["new field x", "new field y"]},
        "personal_data": {"rule 1 (drop x)": 2, "rule 2 (drop y)": 0},
        "warnings": ["personal data: rule 2 (drop y) found nothing; check its names"],
        "files": {"delivered": 2, "open": {}, "changed_after_delivery": []},
        "slices": {
            "a": {"delivered": 2, "open": 0, "failed": 0, "size": 2, "delivered_at": "2026-11-23T09:00:00+00:00"}
        },
        "dead_letters": {},
        "runs": [],
        "seq": 1,
        "written_at": "2026-11-23T09:00:00+00:00",
        "announced": False,
    }


def test_a_planned_file_that_the_ledger_does_not_hold_is_open() -> None:
    ledger = Ledger(MemoryObjects(), Layout())
    settle(ledger, file("1"), account("a", 1, 1))
    manifest = reconcile("demo", HOUR, [file("1"), file("2")], ledger)
    assert not manifest.complete
    assert list(manifest.open_files) == [file("2").key]


def test_a_file_that_failed_before_is_open_with_its_reason_even_when_this_run_had_nothing_planned() -> None:
    ledger = Ledger(MemoryObjects(), Layout())
    settle(ledger, file("1"), Account(), fate="failed", reason="unreadable")
    assert reconcile("demo", HOUR, [], ledger).open_files == {file("1").key: "unreadable"}


def test_a_slice_is_open_while_a_file_of_it_failed_or_was_not_tried() -> None:
    ledger = Ledger(MemoryObjects(), Layout())
    done, failed, untried = (SourceFile("b", f"event_type={kind}/date={HOUR}/1", "e", 1) for kind in "abc")
    settle(ledger, done, account("a", 1, 1))
    settle(ledger, failed, Account(), fate="failed", reason="unreadable")
    manifest = reconcile("demo", HOUR, [done, untried], ledger)
    assert manifest.open_slices == {failed.slice, untried.slice}
    assert manifest.failed == {failed.key}


@pytest.mark.parametrize("counts", [Counts(read=2, sent=1), Counts(read=1, sent=2, dead_lettered=-1)])
def test_books_that_do_not_balance_are_not_accepted(counts: Counts) -> None:
    with pytest.raises(CurrentsError, match="the books don't balance"):
        settle(Ledger(MemoryObjects(), Layout()), file("1"), Account({"a": counts}))


def test_a_planned_file_that_was_replaced_or_removed_meanwhile_is_open_for_this_run_only() -> None:
    ledger = Ledger(MemoryObjects(), Layout())
    settle(ledger, file("1"), Account(), fate="gone")
    [reason] = reconcile("demo", HOUR, [file("1")], ledger).open_files.values()
    assert "changed or removed since it was listed; the next run picks up what is there now" in reason
    assert reconcile("demo", HOUR, [], ledger).complete


def test_an_hour_without_files_is_complete_and_empty() -> None:
    manifest = reconcile("demo", HOUR, [], Ledger(MemoryObjects(), Layout()))
    assert (manifest.complete, manifest.delivered.files, manifest.account.totals) == (True, 0, Counts())


def test_a_key_that_was_delivered_in_two_versions_is_named() -> None:
    ledger = Ledger(MemoryObjects(), Layout())
    first = file("1")
    settle(ledger, first, account("a", 1, 1))
    settle(ledger, SourceFile("b", first.key, "another", 1), account("a", 2, 2))
    assert reconcile("demo", HOUR, [], ledger).delivered.changed == [first.key]


def test_a_file_of_which_some_rows_are_sent_is_open_whoever_accounts_for_the_hour() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x", "y"]))
    house.delivery(max_events=1).deliver(by_slice([file]))
    found = reconcile("test", HOUR, [], house.ledger)
    assert list(found.open_files) == [file.key]
    before = Before({"files": {"open": {file.key: "why"}}}, files_of(house.source))
    assert reconcile("test", HOUR, [], house.ledger, before=before).open_files == {file.key: "why"}
    assert reconcile("test", HOUR, [], house.ledger, before=before, wants=lambda kind: kind != OPEN).complete


def test_files_of_event_types_that_are_not_wanted_any_more_are_not_open() -> None:
    ledger = Ledger(MemoryObjects(), Layout())
    delivered, failed = (SourceFile("b", f"event_type=a/date={HOUR}/{name}", "e", 1) for name in "xy")
    settle(ledger, delivered, account("a", 1, 1))
    settle(ledger, failed, Account(), fate="failed", reason="unreadable")
    source = MemoryObjects("b")
    source.write(key := f"event_type=a/date={HOUR}/z", b"z")
    before = Before({"files": {"open": {key: "not tried"}}}, files_of(source))
    assert list(reconcile("demo", HOUR, [], ledger, before=before).open_files) == [failed.key, key]
    found = reconcile("demo", HOUR, [], ledger, before=before, wants=lambda kind: kind != "a")
    assert found.complete
    assert (found.slices[failed.slice].delivered, found.slices[failed.slice].open) == (1, 0), "what was sent stays told"


def test_dead_letters_are_told_by_event_type_and_code() -> None:
    house = House()
    house.deliver(house.put(OPEN, "a.parquet", table(["x", None, None])))
    manifest = reconcile("test", HOUR, [], house.ledger)
    assert manifest.letters == {OPEN: {"no_id": 2}}
    assert manifest.account.totals.dead_lettered == 2


def test_dead_letters_that_are_replaced_meanwhile_are_looked_for_again() -> None:
    house = House()
    house.deliver(house.put(OPEN, "a.parquet", table(["x", None, None])))
    old = house.ledger.heads(HOUR)
    house.redrive()
    stale = Stale(house.ledger.store, house.ledger.layout, old)
    assert reconcile("test", HOUR, [], stale).letters == {OPEN: {"no_id": 2}}


def test_dead_letters_that_are_gone_are_no_fault_of_the_manifest() -> None:
    house = House()
    house.deliver(house.put(OPEN, "a.parquet", table(["x", None])))
    [page] = [key for key in house.state.contents if key.endswith(".letters")]
    house.state.delete(page)
    assert reconcile("test", HOUR, [], house.ledger).letters == {}


class Stale(Ledger):
    """A ledger whose heads were replaced since they were read."""

    def __init__(self, store: ObjectStore, layout: Layout, heads: list[Head]) -> None:
        super().__init__(store, layout)
        self._old = heads

    def heads(self, _: str) -> list[Head]:
        return self._old


def test_whoever_did_not_look_at_the_source_leaves_open_what_no_head_knows() -> None:
    house = House()
    done, untried = house.put(OPEN, "a.parquet", table(["x", None])), house.put(OPEN, "b.parquet", table(["y"]))
    house.deliver(done)
    store = Manifests(house.state, Layout())
    write_manifest(store, HOUR, house.ledger, NOW, planned=[done, untried])
    house.redrive()

    def after() -> Manifest:
        return reconcile("test", HOUR, [], house.ledger, before=Before(store.read(HOUR) or {}, files_of(house.source)))

    assert not after().complete
    assert list(after().open_files) == [untried.key]
    assert after().slices[untried.slice].open == 1
    house.deliver(untried)
    assert after().complete


@pytest.mark.parametrize("is_there", [True, False])
def test_what_was_replaced_since_it_was_delivered_is_open_while_it_is_there(is_there: bool) -> None:
    house = House()
    old = house.put(OPEN, "a.parquet", table(["x"]))
    house.deliver(old)
    new = house.put(OPEN, "a.parquet", table(["y"]))
    before = Before(reconcile("test", HOUR, [new], house.ledger).as_json(NOW), files_of(house.source))
    if not is_there:
        house.source.delete(new.key)
    after = reconcile("test", HOUR, [], house.ledger, before=before)
    assert list(after.open_files) == ([new.key] if is_there else [])
