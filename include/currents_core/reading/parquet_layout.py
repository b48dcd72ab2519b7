"""What a Parquet file holds where, and what reading it would take, found without decompressing anything.

Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, whose field numbers these
functions name
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from currents_core.reading.cost import (
    BATCH_ROWS,
    COLUMNS,
    DECODED_BYTES,
    DEPTH,
    FOOTER_BYTES,
    HELD_BYTES,
    PAGES,
    require,
)
from currents_core.reading.mapped import mapped
from currents_core.reading.thrift import Fields, Reader

# The length of the footer and the magic, at the end of the file.
_TAIL_BYTES = 8
_BOOLEAN, _BYTE_ARRAY, _FIXED = 0, 6, 7
# Bytes per value of INT32, INT64, INT96, FLOAT and DOUBLE, and of BOOLEAN, which has a bit.
_WIDTHS = {_BOOLEAN: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8}
_REPEATED = 2
_DATA_PAGE, _DICTIONARY_PAGE, _DATA_PAGE_V2 = 0, 2, 3
# Where the header of each kind of page tells about its values, and where, in there, it has their encoding.
_ABOUT = {_DATA_PAGE: (5, 2), _DICTIONARY_PAGE: (7, 2), _DATA_PAGE_V2: (8, 4)}
# The names of the codecs that dictionaries are compressed with, by their numbers.
_CODECS = {0: None, 1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
_LENGTH = Struct("<I")
_DICTIONARY, _DELTA_BYTE_ARRAY = (2, 8), 7
# The place of a value in a dictionary or in a buffer of texts.
_INDEX_BYTES = 4
# The values of a footer and of the header of a page.
_FOOTER_VALUES, _PAGE_VALUES = 2_000_000, 1_000
# A column with fewer bytes per value than this, on average, counts as repetitive.
_REPETITIVE_BYTES = 4
# Dictionaries above this are not looked into, and texts above this are read as dictionaries: bytes.
_LARGE, _LONG = 1 << 22, 1 << 14
# How often pyarrow holds the texts of a dictionary: the page, a table that grows by doubling, and the dictionaries of
# two batches; measured.
_COPIES = 6
# What pyarrow takes for each value of a list until it has put the lists together; measured.
_LEVEL_BYTES = 32
# No count of bytes in here is larger, so that sums fit into an int64.
_PLENTY = 1 << 50


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column of values, maybe within others: its dotted path, and the bytes per value, or None for a text."""

    path: str
    width: int | None
    is_repeated: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a column: what its header says, and its bytes, as they are in the file and decompressed.

    ``values`` is their number, and ``encoding`` how they are written.
    """

    kind: int
    values: int
    encoding: int
    packed: memoryview
    size: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A column in one row group: the values of each page, and their bytes in memory once they are decoded.

    ``held`` is what reading holds at once, in bytes: the largest page and the dictionary, compressed and decompressed.
    ``as_dictionary``: whether to read it as a dictionary.
    """

    leaf: Leaf
    values: list[int]
    decoded: list[int]
    held: int
    as_dictionary: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """What reading a file takes: how many rows at a time, and which columns as dictionaries.

    Read as dictionaries, texts that repeat are encoded once, and long ones are in memory once.
    """

    batch_rows: int
    dictionaries: list[str]


def layout(path: Path) -> Layout:
    """The layout of the Parquet file at ``path``.

    Raises FileError, without the name of the file, if reading it would take more than a file may cost; and IndexError,
    KeyError, ValueError and the like if it is damaged.
    """
    groups = list(_groups(mapped(path)))
    rows = min((_batch_rows(chunks) for chunks in groups), default=BATCH_ROWS)
    dictionaries = {chunk.leaf.path for chunks in groups for chunk in chunks if chunk.as_dictionary}
    return Layout(rows, sorted(dictionaries))


def _groups(data: memoryview) -> Iterator[list[Chunk]]:
    footer = _footer(data)
    leaves = list(_leaves(footer[2]))
    require("columns", len(leaves), COLUMNS)
    pages = 0
    for group in footer[4]:
        chunks = []
        for leaf, each in zip(leaves, group[1], strict=True):
            chunks.append(_chunk(data, leaf, each[3], PAGES - pages))
            pages += len(chunks[-1].values)
        require("bytes to hold at once", sum(chunk.held for chunk in chunks), HELD_BYTES)
        yield chunks


def _footer(data: memoryview) -> Fields:
    length = int.from_bytes(data[-_TAIL_BYTES:][:4], "little")
    if length + _TAIL_BYTES > len(data):
        raise ValueError("the footer is longer than the file")
    require("bytes of footer", length, FOOTER_BYTES)
    return Reader(bytes(data[-_TAIL_BYTES - length : -_TAIL_BYTES]), values=_FOOTER_VALUES).next()


def _leaves(schema: Sequence[Fields]) -> Iterator[Leaf]:
    """The columns that hold values, in the order of the file. A schema is its tree, the parent before its children."""
    # Of each open parent: its path, whether it is repeated, and how many children are to come.
    parents: list[tuple[str, bool, int]] = [("", False, schema[0][5])]
    for element in schema[1:]:
        while not parents[-1][2]:
            parents.pop()
        path, is_repeated, left = parents.pop()
        parents.append((path, is_repeated, left - 1))
        path = f"{path}.{_name(element)}" if path else _name(element)
        is_repeated |= element.get(3) == _REPEATED
        if children := element.get(5):
            parents.append((path, is_repeated, children))
            require("columns within each other", len(parents), DEPTH)
        else:
            kind = element[1]
            width = None if kind == _BYTE_ARRAY else element[2] if kind == _FIXED else _WIDTHS[kind]
            yield Leaf(path, width, is_repeated)


def _name(element: Fields) -> str:
    name: bytes = element[4]
    return name.decode()


def _chunk(data: memoryview, leaf: Leaf, about: Fields, most: int) -> Chunk:
    pages = list(islice(_pages(data, about), most + 1))
    if len(pages) > most:
        require("pages", PAGES + 1, PAGES)
    dictionaries = [page for page in pages if page.kind == _DICTIONARY_PAGE]
    others = [page for page in pages if page.kind in (_DATA_PAGE, _DATA_PAGE_V2)]
    values = [page.values for page in others]
    as_dictionary, width = False, leaf.width
    if dictionaries and width is None:
        is_repetitive = sum(page.size for page in pages) < _REPETITIVE_BYTES * sum(values)
        longest = None if is_repetitive else _longest_text(dictionaries, about[4])
        as_dictionary = longest is None
        width = longest or 0
    decoded = [min(_decoded(page, leaf, width or 0), _PLENTY) for page in others]
    # Nobody can tell from a page where its rows end, so the values of a whole group may belong to a single row.
    nested = sum(decoded) + _LEVEL_BYTES * sum(values) if leaf.is_repeated else 0
    copies = _COPIES if as_dictionary else 1
    held = max((len(page.packed) + page.size for page in others), default=0)
    held += max((len(page.packed) + page.size * copies for page in dictionaries), default=0)
    return Chunk(leaf, values, decoded, held + nested, as_dictionary)


def _pages(data: memoryview, about: Fields) -> Iterator[Page]:
    """The pages of a column chunk, up to the one with its last value."""
    start: int = about[9]
    if 0 < about.get(11, 0) < start:
        start = about[11]
    end = start + _positive(about[7])
    if not 0 <= start <= end <= len(data):
        raise ValueError("a column lies outside of the file")
    reader, left = Reader(data, start, values=_PAGE_VALUES), about[5]
    while left > 0 and reader.at < end:
        head = reader.next()
        kind = head[1]
        first, reader.at = reader.at, reader.at + _positive(head[3])
        if kind in _ABOUT:
            about_field, encoding_field = _ABOUT[kind]
            about_page = head[about_field]
            values, encoding = _positive(about_page[1]), about_page[encoding_field]
            left -= 0 if kind == _DICTIONARY_PAGE else values
            yield Page(kind, values, encoding, data[first : reader.at], _positive(head[2]))


def _positive(number: Any) -> int:
    if not isinstance(number, int) or number < 0:
        raise ValueError("a negative size")
    return number


def _decoded(page: Page, leaf: Leaf, width: int) -> int:
    """The most bytes that the values of a page take in memory; ``width`` is that of a value, or of the longest text."""
    if leaf.width is not None or page.encoding in _DICTIONARY:
        return page.values * (width + _INDEX_BYTES)
    # Delta encoding shares beginnings: each text may repeat what was stored once.
    return page.values * (page.size if page.encoding == _DELTA_BYTE_ARRAY else _INDEX_BYTES) + page.size


def _longest_text(dictionaries: Sequence[Page], codec: int) -> int | None:
    """The length in bytes of the longest text in dictionaries; None if they are large, or their texts are long."""
    if codec not in _CODECS or any(page.size > _LARGE for page in dictionaries):
        return None
    longest = 0
    for page in dictionaries:
        name = _CODECS[codec]
        body = page.packed if name is None else pa.decompress(page.packed, page.size, name, asbytes=True)
        longest = max(longest, longest_text(body, page.values))
    return longest if longest <= _LONG else None


def longest_text(body: bytes | memoryview, count: int) -> int:
    """The length of the longest of ``count`` texts in ``body``, each after its length as four bytes, the lowest first.

    Raises struct.error if they don't fit into it.
    """
    if not count:
        return 0
    # Text seldom has zeros, and the length of a short one ends in two. So the places of the lengths are guessed at
    # once; the guess is right if each text ends where the next length is.
    octets = np.frombuffer(body, np.uint8)
    zeros = octets == 0
    pairs = zeros[2:-1] & zeros[3:]
    pairs[:-1] &= ~pairs[1:]
    places = np.flatnonzero(pairs)
    lengths = octets[places].astype(np.int64) + (octets[places + 1].astype(np.int64) << 8)
    ends = places + 4 + lengths
    if len(places) == count and places[0] == 0 and ends[-1] == len(octets) and np.array_equal(ends[:-1], places[1:]):
        return int(lengths.max())
    at = longest = 0
    for _ in range(count):
        [length] = _LENGTH.unpack_from(body, at)
        longest = max(longest, length)
        at += 4 + length
    return longest


def _batch_rows(chunks: Sequence[Chunk]) -> int:
    """The rows to decode at a time, such that they take at most DECODED_BYTES. At least one."""
    flat = [chunk for chunk in chunks if not chunk.leaf.is_repeated]
    rows = BATCH_ROWS
    if sum(sum(chunk.decoded) for chunk in flat) <= DECODED_BYTES:
        return rows
    ends = [(_ends(chunk.values), _ends(chunk.decoded)) for chunk in flat]
    while rows > 1 and sum(_heaviest(values, decoded, rows) for values, decoded in ends) > DECODED_BYTES:
        rows //= 2
    return max(rows, 1)


def _ends(each: list[int]) -> npt.NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(each, dtype=np.float64)])


def _heaviest(values: npt.NDArray[np.float64], decoded: npt.NDArray[np.float64], rows: int) -> float:
    """The most bytes of ``rows`` neighbouring rows of a column, if the rows of a page are alike.

    ``values`` and ``decoded`` are the sums up to each page's end, float64 arrays of the same length, from 0.
    """
    # It begins or ends where a page does.
    starts = np.clip(np.concatenate([values, values - rows]), 0, None)
    return float(np.max(np.interp(starts + rows, values, decoded) - np.interp(starts, values, decoded)))
