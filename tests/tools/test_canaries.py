"""The search for canaries finds what is planted, in every form and every kind of place."""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.tools.canaries import Canary, Place, canary, files_in, found, objects_in, sqlite
from tests.tools.local_aws import LocalAws

PLANTED = canary("planted", 'zoë "{}"/+=')
OTHER = canary("other")
WAYS: dict[str, Callable[[Canary], bytes]] = {
    "as it is": lambda each: each.value.encode(),
    "in part": lambda each: each.core.encode(),
    "JSON": lambda each: json.dumps({"a": each.value}).encode(),
    "JSON in JSON": lambda each: json.dumps({"a": json.dumps({"b": each.value})}).encode(),
    "a URL": lambda each: quote(each.value).encode(),
    "Python": lambda each: ascii([each.value]).encode(),
    "base64": lambda each: base64.b64encode(each.value.encode()),
    "base64 behind two bytes": lambda each: base64.b64encode(b"k=" + each.value.encode() + b"&"),
    "base64 behind four": lambda each: base64.b64encode(b"key=" + each.value.encode() + b"&x"),
    "base64 for URLs": lambda each: base64.urlsafe_b64encode(each.value.encode()),
    "hexadecimal": lambda each: each.value.encode().hex().encode(),
    "HEXADECIMAL": lambda each: each.value.encode().hex().upper().encode(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_canary_is_found_however_it_is_written(way: str) -> None:
    text = b"before " + WAYS[way](PLANTED) + b" after"
    assert found([PLANTED, OTHER], [Place("here", text), Place("there", b"nothing")]) == {("planted", "here")}


def test_a_canary_is_found_in_files_and_in_their_names(tmp_path: Path) -> None:
    value = PLANTED.value.encode()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "plain").write_bytes(b"x" * 100_000 + value)
    (tmp_path / "packed").write_bytes(gzip.compress(value))
    (tmp_path / OTHER.core).touch()
    assert found([PLANTED, OTHER], files_in(tmp_path)) == {
        ("planted", "file logs/plain"),
        ("planted", "file packed"),
        ("other", f"file {OTHER.core}"),
    }


def test_a_canary_is_found_in_every_column_of_a_database(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "db")) as connection, connection:
        connection.execute('CREATE TABLE "a table" (number, text, bytes)')
        packed = zlib.compress(OTHER.value.encode())
        connection.executemany(
            'INSERT INTO "a table" VALUES (?, ?, ?)', [(1, None, packed), (2, f"a {PLANTED.value}", b"\xff")]
        )
    assert found([PLANTED, OTHER], sqlite(tmp_path / "db")) == {
        ("planted", "table a table.text"),
        ("other", "table a table.bytes"),
    }


def test_a_canary_is_found_in_objects_and_in_their_keys(aws: LocalAws, bucket: str) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=bucket, Key="a.gz", Body=gzip.compress(PLANTED.value.encode()))
    s3.put_object(Bucket=bucket, Key=f"b/{OTHER.core}", Body=b"")
    assert found([PLANTED, OTHER], objects_in(s3, bucket)) == {
        ("planted", "object a.gz"),
        ("other", f"object b/{OTHER.core}"),
    }
