"""The contract of an object store, for S3 over a real socket, the one in memory and what lies over either alike."""

from __future__ import annotations

from io import BytesIO

import pytest

from currents_aws.dry_run import Overlay
from currents_aws.memory import MemoryObjects
from currents_aws.s3 import S3Objects
from currents_core.errors import ConflictError, FileError
from currents_core.ports import ObjectStore
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
    assert store.read_version("lease") == (b"2", second)
    store.delete("lease")
    with pytest.raises(ConflictError):
        store.write_version("lease", b"3", second)
    assert store.read_version("lease") is None


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
