"""The contract of an object store, for S3 over a real socket, the one in memory and what lies over either alike."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from itertools import islice

import pytest

from currents_aws.dry_run import Overlay
from currents_aws.memory import MemoryObjects
from currents_aws.s3 import S3Objects
from currents_core.errors import ConflictError, FileError
from currents_core.ports import ObjectStore, StoredObject
from tests.tools.local_aws import LocalAws

KEYS = ["a/b/1", "a/b/2", "a/c=d/3 +é", "a/4", "b/5"]


@pytest.fixture(params=["s3", "memory", "over memory", "over s3"])
def store(request: pytest.FixtureRequest, aws: LocalAws, bucket: str) -> ObjectStore:
    below: ObjectStore = S3Objects(aws.client("s3"), bucket) if "s3" in request.param else MemoryObjects(bucket)
    found = Overlay(below) if "over" in request.param else below
    for number, key in enumerate(KEYS):
        (found if number % 2 else below).write(key, key.encode())
    return found


def test_a_listing_holds_every_object_below_a_prefix_in_order(store: ObjectStore) -> None:
    assert [each.key for each in store.objects("a/")] == sorted(key for key in KEYS if key.startswith("a/"))
    assert [each.size for each in store.objects("b/")] == [3]
    assert list(store.objects("none/")) == []


def test_a_listing_may_begin_after_any_key(store: ObjectStore) -> None:
    assert [each.key for each in store.objects("a/", after="a/b/1")] == ["a/4", "a/b/2", "a/c=d/3 +é"][1:]
    assert [each.key for each in store.objects("a/", after="a/b")] == ["a/b/1", "a/b/2", "a/c=d/3 +é"]


def test_folders_are_one_level_deep(store: ObjectStore) -> None:
    assert store.folders("a/") == ["a/b/", "a/c=d/"]
    assert store.folders("") == ["a/", "b/"]
    assert store.folders("a/b/") == []


def test_reading_gives_what_was_written_last(store: ObjectStore) -> None:
    store.write("a/4", b"new")
    assert store.read("a/4") == b"new"
    assert store.read("none") is None


def test_deleting_is_safe_to_repeat(store: ObjectStore) -> None:
    store.delete("a/4")
    store.delete("a/4")
    assert store.read("a/4") is None


def test_a_download_is_of_the_version_that_was_listed(store: ObjectStore) -> None:
    listed = next(iter(store.objects("a/c=d/")))
    body = BytesIO()
    store.download(listed.key, listed.etag, body)
    assert body.getvalue() == listed.key.encode()
    store.write(listed.key, b"another")
    with pytest.raises(FileError, match=r"a/c=d/3 \+é: changed or removed since it was listed"):
        store.download(listed.key, listed.etag, BytesIO())
    store.delete(listed.key)
    with pytest.raises(FileError, match="changed or removed since it was listed"):
        store.download(listed.key, listed.etag, BytesIO())


def test_a_conditional_write_is_for_whoever_saw_the_newest_version(store: ObjectStore) -> None:
    first = store.write_version("lease", b"1", None)
    with pytest.raises(ConflictError, match="lease: another writer was first"):
        store.write_version("lease", b"2", None)
    second = store.write_version("lease", b"2", first)
    with pytest.raises(ConflictError):
        store.write_version("lease", b"3", first)
    found = store.read_version("lease")
    assert found
    assert found[:2] == (b"2", second)
    assert 0 <= found.age < 60

    store.delete("lease")
    with pytest.raises(ConflictError):
        store.write_version("lease", b"3", second)
    assert store.read_version("lease") is None


def test_a_conditional_delete_spares_a_newer_version(store: ObjectStore) -> None:
    [listed] = [each for each in store.objects("a/") if each.key == "a/4"]
    store.write("a/4", b"newer")
    with pytest.raises(ConflictError, match="a/4: another writer was first"):
        store.delete_version("a/4", listed.etag)
    assert store.read("a/4") == b"newer"
    [listed] = [each for each in store.objects("a/") if each.key == "a/4"]
    store.delete_version("a/4", listed.etag)
    store.delete_version("a/4", listed.etag)
    assert store.read("a/4") is None


def test_a_part_of_an_object_can_be_read(store: ObjectStore) -> None:
    store.write("a/4", b"0123456789")
    assert store.read_part("a/4", 2, 3) == b"234"
    assert store.read_part("a/4", 8, 30) == b"89"
    assert store.read_part("b/5", 0, 2) == b"b/"
    assert store.read_part("none", 0, 1) is None
    store.delete("b/5")
    assert store.read_part("b/5", 0, 2) is None


def test_a_listing_tells_for_how_long_each_object_has_been_there(store: ObjectStore) -> None:
    store.write("a/4", b"new")
    [listed] = [each for each in store.objects("a/") if each.key == "a/4"]
    assert 0 <= listed.age < 60


def test_the_version_that_is_read_can_be_replaced(store: ObjectStore) -> None:
    found = store.read_version("a/4")
    assert found
    store.write_version("a/4", b"new", found[1])
    assert store.read("a/4") == b"new"


def test_an_overlay_leaves_what_lies_below_as_it_is() -> None:
    below = MemoryObjects("state", {"kept": b"1", "changed": b"1", "deleted": b"1"})
    before = dict(below.contents)
    over = Overlay(below)
    over.write("new", b"2")
    over.delete("deleted")
    found = over.read_version("changed")
    assert found
    over.write_version("changed", b"2", found[1])
    assert below.contents == before
    assert {each.key: over.read(each.key) for each in over.objects("")} == {
        "kept": b"1",
        "changed": b"2",
        "new": b"2",
    }


def test_a_version_is_there_until_it_is_replaced(store: ObjectStore) -> None:
    [listed] = [each for each in store.objects("a/") if each.key == "a/c=d/3 +é"]
    assert store.has_version(listed.key, listed.etag)
    store.write(listed.key, b"another")
    assert not store.has_version(listed.key, listed.etag)
    store.delete(listed.key)
    assert not store.has_version(listed.key, listed.etag)


def test_a_download_of_any_version_needs_no_etag(store: ObjectStore) -> None:
    body = BytesIO()
    store.download("a/4", None, body)
    assert body.getvalue() == b"a/4"
    with pytest.raises(FileError):
        store.download("none", None, BytesIO())


def test_the_age_of_a_version_is_told_by_the_stores_clock() -> None:
    now = [1_000.0]
    store = MemoryObjects(clock=lambda: now[0])
    store.write("a", b"1")
    now[0] += 7
    found = store.read_version("a")
    assert found
    assert found.age == 7
    assert [each.age for each in store.objects("")] == [7]


def test_a_listing_tells_how_old_each_object_is(store: ObjectStore) -> None:
    store.write("a/4", b"new")
    # Times of S3 have whole seconds.
    assert all(-2 < each.age < 60 for each in store.objects(""))


def test_an_overlay_lists_no_more_than_is_asked_for() -> None:
    class Endless(MemoryObjects):
        def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
            yield StoredObject("b", "e", 1, 0.0)
            raise AssertionError("nobody asked for more")

    over = Overlay(Endless("state"))
    over.write("a", b"2")
    assert [each.key for each in islice(over.objects(""), 1)] == ["a"]
    over.delete("a")
    assert next(over.objects("")).key == "b"
