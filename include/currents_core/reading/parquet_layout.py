"""What reading a Parquet file takes, found in its footer and the headers of its pages, before anything is decompressed.

Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, whose field numbers these
functions name
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from currents_core.reading.cost import (
    AGAIN_BYTES,
    BATCH_ROWS,
    DECODED_BYTES,
    HELD_BYTES,
    LEAST_ROWS,
    PAGES,
    require,
)
from currents_core.reading.parquet_footer import Footer, Leaf, Span
from currents_core.reading.thrift import Reader

_DATA_PAGE, _DICTIONARY_PAGE, _DATA_PAGE_V2 = 0, 2, 3
# Where the header of each kind of page tells about its values, and where, in there, it has their encoding.
_ABOUT = {_DATA_PAGE: (5, 2), _DICTIONARY_PAGE: (7, 2), _DATA_PAGE_V2: (8, 4)}
# The most bytes and values of a header. Those of a writer that keeps statistics there are below a tenth of it.
_HEADER_BYTES, _HEADER_VALUES = 1 << 16, 1_000
# The names of the codecs that dictionaries are compressed with, by their numbers.
_CODECS = {0: None, 1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
_LENGTH = Struct("<I")
_DICTIONARY, _DELTA_BYTE_ARRAY = (2, 8), 7
# The place of a value in a dictionary or in a buffer of texts.
_INDEX_BYTES = 4
# A column with fewer bytes per value than this, on average, counts as repetitive.
_REPETITIVE_BYTES = 4
# Dictionaries above this are not looked into, and all of a file together no more than that: bytes.
_LARGE, _LARGE_TOGETHER = 1 << 22, 1 << 26
# Texts above this are read as dictionaries, in bytes; so are more texts than this if they must be counted one by one.
_LONG, _MANY = 1 << 14, 50_000
# Dictionaries are searched so many bytes at a time.
_PART = 1 << 16
# How often pyarrow holds the texts of a dictionary: the page, a table that grows by doubling, and the dictionaries of
# two batches; and what it takes for each text beside that, in bytes; measured.
_COPIES, _ENTRY_BYTES = 6, 100
# Where fewer rows than this would be decoded at a time, texts are read as dictionaries if they can be.
_FEW = 1_000
# What pyarrow takes for each value of a list until it has put the lists together; measured.
_LEVEL_BYTES = 32
# No count of bytes in here is larger, so that sums fit into an int64.
_PLENTY = 1 << 50


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


def layout(data: memoryview, footer: Footer) -> Layout:
    """The layout of the Parquet file with the bytes ``data`` and with this footer.

    Raises FileError, without the name of the file, if reading it would take more than a file may cost; and IndexError,
    KeyError, ValueError and the like if it is damaged.
    """
    measure = _Measure(data)
    groups = [measure.group(spans) for spans in footer.groups]
    rows = min((_batch_rows(chunks) for chunks in groups), default=BATCH_ROWS)
    pages = [decoded for chunks in groups for chunk in chunks for decoded in chunk.decoded]
    # pyarrow goes through a page of texts that share their beginning once for each batch.
    require("bytes to go through for each row", max(pages, default=0) // rows, AGAIN_BYTES)
    dictionaries = {chunk.leaf.path for chunks in groups for chunk in chunks if chunk.as_dictionary}
    return Layout(rows, sorted(dictionaries))


@dataclass(frozen=True, slots=True)
class _Column:
    """The pages of a column, and the length of the longest text in its dictionary, or None if nobody knows it."""

    leaf: Leaf
    pages: list[Page]
    dictionary: Page | None
    longest: int | None


class _Measure:
    """Measures the columns of one file, which together may have only so many pages and dictionaries to look into."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._pages = 0
        self._looked_into = 0

    def group(self, spans: Sequence[Span]) -> list[Chunk]:
        """The columns of a row group."""
        columns = [self._column(span) for span in spans]
        chunks = [_chunk(column, as_dictionary=column.longest is None) for column in columns]
        if _batch_rows(chunks) < _FEW:
            # Many columns of texts that are not so short, each perhaps in every row.
            chunks = [_chunk(column, as_dictionary=column.dictionary is not None) for column in columns]
        require("bytes to hold at once", sum(chunk.held for chunk in chunks), HELD_BYTES)
        return chunks

    def _column(self, span: Span) -> _Column:
        found = list(self._found(span))
        pages = [page for page in found if page.kind != _DICTIONARY_PAGE]
        dictionary = next((page for page in found if page.kind == _DICTIONARY_PAGE), None)
        if dictionary is None or span.leaf.width is not None:
            return _Column(span.leaf, pages, dictionary, 0)
        is_repetitive = sum(page.size for page in found) < _REPETITIVE_BYTES * sum(page.values for page in pages)
        longest = None if is_repetitive else self._longest_text(dictionary, span.codec)
        return _Column(span.leaf, pages, dictionary, longest)

    def _found(self, span: Span) -> Iterator[Page]:
        """The pages of a column, up to the one with its last value. A dictionary can only be the first."""
        at, left, is_first = span.start, span.values, True
        while left > 0 and at < span.end:
            self._pages += 1
            require("pages", self._pages, PAGES)
            reader = Reader(self._data[at : min(at + _HEADER_BYTES, span.end)], values=_HEADER_VALUES)
            head = reader.next()
            kind, start = head[1], at + reader.at
            at = start + _positive(head[3])
            if kind in _ABOUT:
                if kind == _DICTIONARY_PAGE and not is_first:
                    raise ValueError("a column has two dictionaries")
                about, encoding = _ABOUT[kind]
                values = _positive(head[about][1])
                yield Page(kind, values, head[about][encoding], self._data[start:at], _positive(head[2]))
                left -= 0 if kind == _DICTIONARY_PAGE else values
                is_first = False

    def _longest_text(self, page: Page, codec: int) -> int | None:
        """The length in bytes of the longest text in a dictionary; None if it is large, or the text long."""
        self._looked_into += page.size
        if codec not in _CODECS or page.size > _LARGE or self._looked_into > _LARGE_TOGETHER:
            return None
        name = _CODECS[codec]
        body = page.packed if name is None else pa.decompress(page.packed, page.size, name)
        longest = longest_text(body, page.values)
        return longest if longest is not None and longest <= _LONG else None


def _chunk(column: _Column, *, as_dictionary: bool) -> Chunk:
    leaf, pages, dictionary = column.leaf, column.pages, column.dictionary
    is_text = leaf.width is None
    as_dictionary = as_dictionary and is_text
    width = leaf.width or (0 if as_dictionary else column.longest or 0)
    values = [page.values for page in pages]
    decoded = [min(_decoded(page, leaf, width), _PLENTY) for page in pages]
    # Nobody can tell from a page where its rows end, so the values of a whole group may belong to a single row.
    held = sum(decoded) + _LEVEL_BYTES * sum(values) if leaf.is_repeated else 0
    held += max((len(page.packed) + page.size for page in pages), default=0)
    if dictionary:
        entries = dictionary.values * _ENTRY_BYTES if is_text else 0
        held += len(dictionary.packed) + dictionary.size * (_COPIES if as_dictionary else 1) + entries
    return Chunk(leaf, values, decoded, held, as_dictionary)


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


def longest_text(body: bytes | memoryview | pa.Buffer, count: int) -> int | None:
    """The length of the longest of ``count`` texts in ``body``, each after its length as four bytes, the lowest first.

    It is None if these are many and finding out would take long. Raises struct.error if they don't fit into ``body``.
    """
    if not count:
        return 0
    # Finding one length after the other is slow, so their places are guessed at once. The guess is right if each text
    # ends where the next length is.
    octets = np.frombuffer(body, np.uint8)
    places = _guessed_places(octets)
    lengths = octets[places].astype(np.int64) + (octets[places + 1].astype(np.int64) << 8)
    ends = places + 4 + lengths
    if len(places) == count and places[0] == 0 and ends[-1] == len(octets) and np.array_equal(ends[:-1], places[1:]):
        return int(lengths.max())
    if count > _MANY:
        return None
    at = longest = 0
    for _ in range(count):
        [length] = _LENGTH.unpack_from(body, at)
        longest = max(longest, length)
        at += 4 + length
    return longest


def _guessed_places(octets: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Where the lengths of texts are if none is long or has zeros: the length of a short text ends in two zeros."""
    places = [np.zeros(0, np.int64)]
    # A part at a time, since memory for all would be taken anew from the system, which costs as much as the search.
    for start in range(0, len(octets), _PART):
        zeros = octets[start : start + _PART + 4] == 0
        pairs = zeros[2:-1] & zeros[3:]
        pairs[:-1] &= ~pairs[1:]
        places.append(np.flatnonzero(pairs[:_PART]) + start)
    return np.concatenate(places)


def _batch_rows(chunks: Sequence[Chunk]) -> int:
    """The rows to decode at a time, such that they take at most DECODED_BYTES, if need be a few rows somewhat more."""
    flat = [chunk for chunk in chunks if not chunk.leaf.is_repeated]
    rows = BATCH_ROWS
    if sum(sum(chunk.decoded) for chunk in flat) <= DECODED_BYTES:
        return rows
    ends = [(_ends(chunk.values), _ends(chunk.decoded)) for chunk in flat]
    while rows > LEAST_ROWS and sum(_heaviest(values, decoded, rows) for values, decoded in ends) > DECODED_BYTES:
        rows //= 2
    return rows


def _ends(each: list[int]) -> npt.NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(each, dtype=np.float64)])


def _heaviest(values: npt.NDArray[np.float64], decoded: npt.NDArray[np.float64], rows: int) -> float:
    """The most bytes of ``rows`` neighbouring rows of a column, if the rows of a page are alike.

    ``values`` and ``decoded`` are the sums up to each page's end, float64 arrays of the same length, from 0.
    """
    # It begins or ends where a page does.
    starts = np.clip(np.concatenate([values, values - rows]), 0, None)
    return float(np.max(np.interp(starts + rows, values, decoded) - np.interp(starts, values, decoded)))
