"""The blocks of an Avro object container file, decompressed a few at a time.

A block may grow a thousandfold when it is decompressed, and readers decompress whole blocks. So this is done here, up
to a limit; readers get small files without compression.

Source: https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from currents_core.errors import FileError
from currents_core.reading.cost import BLOCK_BYTES

try:
    # The same as zlib, in less than half the time.
    from isal import isal_zlib as inflate
except ImportError:
    import zlib as inflate  # type: ignore[no-redef]

AVRO_MAGIC = b"Obj\x01"

# The length of a sync marker, and the longest encoding of a long.
_SYNC_BYTES = 16
_VARINT_BYTES = 10
_CHECKSUM_BYTES = 4
# What decompressing xz may take: its highest level takes half of it.
_XZ_BYTES = 128 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a container file: its schema as JSON, its codec, its sync marker, and where its blocks begin."""

    schema: str
    codec: str
    sync: bytes
    end: int

    def plain(self) -> bytes:
        """The header of a file with the same rows without compression."""
        pairs = (("avro.schema", self.schema), ("avro.codec", "null"))
        texts = b"".join(_with_length(text.encode()) for pair in pairs for text in pair)
        return AVRO_MAGIC + _as_long(len(pairs)) + texts + _as_long(0) + self.sync


@dataclass(frozen=True, slots=True)
class Block:
    """A block: where it begins, how many rows it announces, and its compressed bytes."""

    at: int
    rows: int
    packed: memoryview


@dataclass(slots=True)
class Window:
    """A few blocks as a file without compression, in parts; the sizes of the blocks in bytes, and their rows."""

    parts: list[bytes | memoryview]
    sizes: list[int]
    rows: int


def blocks(data: memoryview, header: Header) -> Iterator[Block]:
    """The blocks of a file with the bytes ``data``, found without decompressing any of them.

    Readers take a file that is cut off for a shorter one, but this raises FileError if a block is damaged or cut off.
    """
    at = header.end
    while at < len(data):
        rows, start = _long(data, at)
        length, start = _long(data, start)
        end = start + max(length, 0)
        if rows < 0 or length < 0 or data[end : end + _SYNC_BYTES] != header.sync:
            raise FileError(f"not a complete Avro file: the block at byte {at} is damaged or cut off")
        yield Block(at, rows, data[start:end])
        at = end + _SYNC_BYTES


def rows_like_first(data: memoryview, header: Header, size: int) -> int:
    """How many rows a file of ``size`` bytes has if all its blocks are like the first; ``data`` is its beginning.

    Raises FileError if the first block is damaged.
    """
    if header.end == size:
        return 0
    rows, start = _long(data, header.end)
    length, start = _long(data, start)
    end = start + length + _SYNC_BYTES
    if rows <= 0 or length <= 0 or end > size or (header.codec == "null" and rows > length):
        raise FileError(f"not a complete Avro file: the block at byte {header.end} is damaged")
    return round(rows * (size - header.end) / (end - header.end))


def windows(data: memoryview, header: Header, most: int = BLOCK_BYTES) -> Iterator[Window]:
    """The file with the bytes ``data`` as small files of up to ``most`` bytes, or of a single block.

    Raises FileError if a block takes more than BLOCK_BYTES, or is damaged.
    """
    window, filled = Window([header.plain()], [], 0), 0
    for block in blocks(data, header):
        body = _decompressed(block, header.codec)
        if window.rows and filled + len(body) > most:
            yield window
            window, filled = Window([header.plain()], [], 0), 0
        filled += len(body)
        window.parts += _as_long(block.rows), _as_long(len(body)), body, header.sync
        window.sizes.append(len(body))
        window.rows += block.rows
    if window.rows:
        yield window


def _decompressed(block: Block, codec: str) -> bytes | memoryview:
    if codec not in _CODECS:
        raise FileError("compressed by a codec that no Currents file uses")
    if len(block.packed) > BLOCK_BYTES:
        raise FileError(_too_large(block))
    body = _CODECS[codec](block.packed)
    if body is None or len(body) > BLOCK_BYTES:
        raise FileError(_too_large(block))
    if block.rows > len(body):
        raise FileError(f"the block at byte {block.at} announces {block.rows:,} rows in {len(body):,} bytes")
    return body


def _too_large(block: Block) -> str:
    return f"the block at byte {block.at} takes more than {BLOCK_BYTES >> 20} MiB, the limit of a block"


def _snappy(data: memoryview) -> bytes | None:
    """What snappy compressed, or None if that is more than BLOCK_BYTES. A checksum follows it."""
    packed, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    size = _varint(packed, 0)[0]
    if not 0 <= size <= BLOCK_BYTES:
        return None
    plain: bytes = pa.decompress(packed, size, codec="snappy", asbytes=True)
    if zlib.crc32(plain) != int.from_bytes(checksum, "big"):
        raise FileError("the checksum of a block is wrong")
    return plain


def _zstandard(data: memoryview) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        plain: bytes = stream.read(BLOCK_BYTES + 1)
    return plain


# Each gives one byte too many, or None, if there are more than BLOCK_BYTES.
_CODECS: dict[str, Callable[[memoryview], bytes | memoryview | None]] = {
    "null": lambda data: data,
    "deflate": lambda data: inflate.decompressobj(-zlib.MAX_WBITS).decompress(data, BLOCK_BYTES + 1),
    "bzip2": lambda data: bz2.BZ2Decompressor().decompress(data, BLOCK_BYTES + 1),
    "xz": lambda data: lzma.LZMADecompressor(memlimit=_XZ_BYTES).decompress(data, BLOCK_BYTES + 1),
    "snappy": _snappy,
    "zstandard": _zstandard,
}


def _long(data: memoryview, at: int) -> tuple[int, int]:
    """The zigzag long at the place ``at``, and the place after it; -1 and ``at`` if none ends within ``data``."""
    value, end = _varint(data, at)
    return (value if value < 0 else (value >> 1) ^ -(value & 1)), end


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for number, byte in enumerate(data[at : at + _VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * number
        if byte < 0x80:
            return value, at + number + 1
    return -1, at


def _as_long(number: int) -> bytes:
    """A number from 0 on as a zigzag long."""
    left, encoded = number << 1, bytearray()
    while left >= 0x80:
        encoded.append(left & 0x7F | 0x80)
        left >>= 7
    encoded.append(left)
    return bytes(encoded)


def _with_length(data: bytes) -> bytes:
    return _as_long(len(data)) + data
