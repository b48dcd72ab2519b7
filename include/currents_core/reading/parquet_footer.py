"""The footer of a Parquet file: its columns, and where each of them is.

Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, whose field numbers these
functions name
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

import pyarrow.parquet as pq

from currents_core.reading.cost import COLUMNS, DEPTH, FOOTER_BYTES, NAME_BYTES, ROWS, require
from currents_core.reading.thrift import Fields, Reader

PARQUET_MAGIC = b"PAR1"

# The length of the footer and the magic, at the end of the file.
_TAIL_BYTES = 8
_VALUES = 2_000_000
_BYTE_ARRAY, _FIXED = 6, 7
# Bytes per value of BOOLEAN, which has a bit, INT32, INT64, INT96, FLOAT and DOUBLE; and of a decimal.
_WIDTHS = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8}
_DECIMAL_BYTES = 32
_REPEATED = 2
_CONVERTED_DECIMAL, _LOGICAL_DECIMAL, _LOGICAL_UUID = 5, 5, 14
# The key under which Arrow's writers keep the types that the columns had in memory, as Thrift has it, and another.
_ARROW_KEY, _NO_KEY = b"\x18\x0cARROW:schema", b"\x18\x0cARROW-schema"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column of values, maybe within others: its dotted path, and the bytes per value, or None for a text."""

    path: str
    width: int | None
    is_repeated: bool
    is_uuid: bool


@dataclass(frozen=True, slots=True)
class Span:
    """Where a column of one row group is: from ``start`` up to, but not including, ``end``; and how many values it has.

    ``codec`` is the number of its codec.
    """

    leaf: Leaf
    codec: int
    start: int
    end: int
    values: int


@dataclass(frozen=True, slots=True)
class Footer:
    """What a footer says: the columns of each row group, and the same as pyarrow has it."""

    groups: list[list[Span]]
    metadata: pq.FileMetaData


def read_footer(data: memoryview) -> Footer:
    """The footer of the Parquet file with the bytes ``data``.

    pyarrow does not learn from it which types the columns had in the memory of their writer, for nobody needs these,
    and a file could name any. Raises FileError if the file has more columns or rows than a file may have, or longer
    names; and IndexError, KeyError, ValueError and the like if it is damaged.
    """
    length = int.from_bytes(data[-_TAIL_BYTES:][:4], "little")
    if length + _TAIL_BYTES > len(data):
        raise ValueError("the footer is longer than the file")
    require("bytes of footer", length, FOOTER_BYTES)
    raw = bytes(data[-_TAIL_BYTES - length :])
    fields = Reader(raw[:-_TAIL_BYTES], values=_VALUES).next()
    leaves = list(_leaves(fields[2]))
    require("columns", len(leaves), COLUMNS)
    require("rows", max(fields[3], sum(group[3] for group in fields[4])), ROWS)
    groups = [
        [_span(leaf, each[3], group[3], len(data)) for leaf, each in zip(leaves, group[1], strict=True)]
        for group in fields[4]
    ]
    _require_apart([span for spans in groups for span in spans])
    metadata = pq.read_metadata(BytesIO(PARQUET_MAGIC + raw.replace(_ARROW_KEY, _NO_KEY)))
    return Footer(groups, metadata)


def rows_told(tail: bytes) -> int:
    """How many rows a Parquet file says it has; ``tail`` is its end.

    Raises FileError if these are more than a file may have; and KeyError, ValueError and the like if the footer is
    damaged, or longer than the tail.
    """
    length = int.from_bytes(tail[-_TAIL_BYTES:][:4], "little")
    if not tail.endswith(PARQUET_MAGIC) or length + _TAIL_BYTES > len(tail):
        raise ValueError("the tail has no whole footer")
    fields = Reader(tail[-_TAIL_BYTES - length : -_TAIL_BYTES], values=_VALUES).next()
    rows: int = fields[3]
    require("rows", rows, ROWS)
    return rows


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
            logical = element.get(10, {})
            yield Leaf(path, _width(element, logical), is_repeated, _LOGICAL_UUID in logical)


def _name(element: Fields) -> str:
    name: bytes = element[4]
    require("bytes in the name of a column", len(name), NAME_BYTES)
    return name.decode()


def _width(element: Fields, logical: Fields) -> int | None:
    kind: int = element[1]
    if kind == _BYTE_ARRAY:
        is_decimal = element.get(6) == _CONVERTED_DECIMAL or _LOGICAL_DECIMAL in logical
        return _DECIMAL_BYTES if is_decimal else None
    return max(int(element[2]), 1) if kind == _FIXED else _WIDTHS[kind]


def _span(leaf: Leaf, about: Fields, rows: int, size: int) -> Span:
    """Where a column of a group of ``rows`` is in a file of ``size`` bytes."""
    values, start, length = about[5], about[9], about[7]
    if not leaf.is_repeated and values != rows:
        # Nulls are values, too.
        raise ValueError(f"a column has {values} values for {rows} rows")
    if values <= 0:
        return Span(leaf, about[4], 0, 0, 0)
    if 0 < about.get(11, 0) < start:
        start = about[11]
    if not 0 < start <= start + length <= size:
        raise ValueError("a column lies outside of the file")
    return Span(leaf, about[4], start, start + length, values)


def _require_apart(spans: Sequence[Span]) -> None:
    """Raises ValueError if columns share bytes: a file could make its readers do the same work any number of times."""
    end = 0
    for span in sorted(spans, key=lambda each: each.start):
        if span.values and span.start < end:
            raise ValueError("columns share their pages")
        end = max(end, span.end)
