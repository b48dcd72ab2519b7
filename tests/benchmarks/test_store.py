"""The local S3 of the benchmarks keeps the contract of S3 as far as the adapter uses it."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest
from botocore.config import Config

from benchmarks.store import Fill, LocalStore, store
from currents_aws.s3 import S3Objects
from currents_core.errors import ConflictError, FileError

OPEN, CLICK = "users.messages.email.Open", "users.messages.email.Click"
HOUR = "2026-11-23-08"


@pytest.fixture(scope="module")
def local() -> Iterator[LocalStore]:
    with store() as running:
        yield running


def bucket(local: LocalStore, name: str) -> S3Objects:
    made: Any = boto3.client
    client = made(
        "s3",
        endpoint_url=local.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    return S3Objects(client, name)


def test_objects_are_written_read_and_removed(local: LocalStore) -> None:
    objects, before = bucket(local, "plain"), local.counts()
    key = "a folder/ä+b=c&d.json"
    assert objects.read(key) is None
    objects.write(key, b"0123456789")
    assert (objects.read(key), objects.read_part(key, 2, 3)) == (b"0123456789", b"234")
    [listed] = objects.objects("a folder/")
    assert (listed.key, listed.size) == (key, 10)
    assert 0 <= listed.age < 60
    assert objects.folders("") == ["a folder/"]
    objects.delete(key)
    assert list(objects.objects("")) == []
    assert local.counts() - before == {"GET": 3, "PUT": 1, "LIST": 3, "DELETE": 1}


def test_conditions_hold(local: LocalStore) -> None:
    objects = bucket(local, "conditions")
    first = objects.write_version("head", b"1", None)
    with pytest.raises(ConflictError):
        objects.write_version("head", b"2", None)
    second = objects.write_version("head", b"2", first)
    with pytest.raises(ConflictError):
        objects.write_version("head", b"3", first)
    version = objects.read_version("head")
    assert version
    assert (version.body, version.etag) == (b"2", second)
    assert 0 <= version.age < 60
    assert objects.has_version("head", second.strip('"'))
    assert not objects.has_version("head", first.strip('"'))
    with pytest.raises(FileError):
        objects.download("head", first, BytesIO())
    with pytest.raises(ConflictError):
        objects.delete_version("head", first)
    objects.delete_version("head", second)
    assert objects.read_version("head") is None


def test_it_is_filled_with_files_whose_ids_are_all_their_own(local: LocalStore) -> None:
    objects, before = bucket(local, "filled"), local.counts()
    local.fill(Fill("filled", "in/", [OPEN, CLICK], [HOUR], files=1_001, rows=3))
    assert local.counts() == before
    listed = list(objects.objects(f"in/event_type={OPEN}/"))
    assert len(listed) == 1_001
    assert local.counts() - before == {"LIST": 2}
    after = list(objects.objects(f"in/event_type={OPEN}/", after=listed[-3].key))
    assert [each.key for each in after] == [each.key for each in listed[-2:]]
    tables = [pq.read_table(BytesIO(objects.read(each.key) or b"")) for each in (listed[0], listed[1], listed[-1])]
    assert len({each for table in tables for each in table["id"].to_pylist()}) == 9
    assert len(next(iter(tables)).column_names) > 10
