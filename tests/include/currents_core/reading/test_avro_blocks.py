from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import cramjam
import fastavro
import pytest

from currents_core.errors import FileError
from currents_core.reading import avro_blocks
from currents_core.reading.avro_blocks import Header, blocks, rows_like_first, windows

SCHEMA = {"type": "record", "name": "r", "fields": [{"name": "id", "type": "string"}]}
SYNC = b"0123456789abcdef"
RECORDS = [{"id": f"record {number}"} for number in range(1_000)]


def container(codec: str = "null", records: list[dict[str, Any]] = RECORDS, sync_interval: int = 500) -> bytes:
    body = BytesIO()
    fastavro.writer(body, SCHEMA, records, codec, sync_interval, sync_marker=SYNC)
    return body.getvalue()


def header(body: bytes) -> Header:
    reader = fastavro.reader(BytesIO(body))
    return Header(reader.metadata["avro.schema"], reader.metadata["avro.codec"], SYNC, body.index(SYNC) + 16)


def plain(body: bytes) -> list[Any]:
    """All records, read from the windows."""
    found = windows(memoryview(body), header(body))
    return [record for window in found for record in fastavro.reader(BytesIO(b"".join(window.parts)))]


def zstandard(data: bytes) -> bytes:
    return bytes(cramjam.zstd.compress(data))


def snappy(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data)) + zlib.crc32(data).to_bytes(4, "big")


def raw_deflate(data: bytes) -> bytes:
    pack = zlib.compressobj(wbits=-15)
    return pack.compress(data) + pack.flush()


CODECS: dict[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": raw_deflate,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "snappy": snappy,
    "zstandard": zstandard,
}


def packed(codec: str, rows: int, data: bytes) -> bytes:
    """A container file of one block."""
    head = container("null", []).replace(b"\x08null", avro_blocks._with_length(codec.encode()))
    head = head[: head.index(SYNC) + 16]
    return head + avro_blocks._as_long(rows) + avro_blocks._with_length(CODECS[codec](data)) + SYNC


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_windows_have_the_same_records_without_compression(codec: str) -> None:
    body = container(codec)
    found = list(windows(memoryview(body), header(body), 2_000))
    assert len(found) > 3
    assert sum(window.rows for window in found) == 1_000
    assert max(sum(map(len, window.parts)) for window in found) < 3_000
    assert plain(body) == RECORDS


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_decompressed_up_to_the_limit(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(avro_blocks._with_length(record["id"].encode()) for record in RECORDS)
    body = packed(codec, 1_000, data)
    about = Header(str(SCHEMA), codec, SYNC, body.index(SYNC) + 16)
    [window] = windows(memoryview(body), about)
    assert bytes(window.parts[-2]) == data
    monkeypatch.setattr(avro_blocks, "BLOCK_BYTES", len(data) - 1)
    with pytest.raises(FileError, match=r"the block at byte \d+ takes more than .* the limit of a block"):
        list(windows(memoryview(body), about))


@pytest.mark.parametrize(
    ("codec", "body", "complaint"),
    [
        ("null", packed("null", 100, b"x" * 99), "announces 100 rows in 99 bytes"),
        ("null", container()[:-1], "the block at byte .* is damaged or cut off"),
        ("lzo", container(), "a codec that no Currents file uses"),
        ("snappy", packed("snappy", 1, b"abc").replace(zlib.crc32(b"abc").to_bytes(4, "big"), bytes(4)), "checksum"),
    ],
)
def test_damage_is_named(codec: str, body: bytes, complaint: str) -> None:
    with pytest.raises(FileError, match=complaint):
        list(windows(memoryview(body), Header(str(SCHEMA), codec, SYNC, body.index(SYNC) + 16)))


def test_blocks_are_found_without_decompressing_them() -> None:
    body = container("deflate")
    found = list(blocks(memoryview(body), header(body)))
    assert [(each.at, each.rows) for each in found] == [
        (each.offset, each.num_records) for each in fastavro.block_reader(BytesIO(body))
    ]


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_the_beginning_of_a_file_tells_about_how_many_rows_it_has(codec: str) -> None:
    body = container(codec)
    assert rows_like_first(memoryview(body[:200]), header(body), len(body)) == pytest.approx(1_000, rel=0.15)
    one = container(codec, sync_interval=1 << 20)
    assert rows_like_first(memoryview(one[:200]), header(one), len(one)) == 1_000
    none = container(codec, [])
    assert rows_like_first(memoryview(none), header(none), len(none)) == 0


@pytest.mark.parametrize(
    "block", [b"", b"\xff", b"\x00\x00", b"\x01\x02", b"\x02\x01", b"\x02\x00", b"\x08\x06", b"\x02\xfe\x7f"]
)
def test_a_damaged_beginning_tells_nothing(block: bytes) -> None:
    """Without rows, with a negative count, without bytes, with more rows than bytes, longer than the file."""
    head = container(records=[])
    with pytest.raises(FileError, match=f"the block at byte {len(head)} is damaged"):
        rows_like_first(memoryview(head + block), header(head), 1_000)
