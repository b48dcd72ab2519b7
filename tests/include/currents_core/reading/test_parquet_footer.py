from __future__ import annotations

import gzip
import struct
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from currents_core.errors import FileError
from currents_core.reading.parquet_footer import read_footer, rows_told
from currents_core.reading.parquet_layout import Layout, layout
from currents_core.reading.read_parquet import ParquetFile
from tests.tools.sample import on_disk
from tests.tools.thrift import INT, STRUCT, TEXT, ended, page, parquet
from tests.tools.thrift import struct as thrift_struct


def measured(body: bytes) -> Layout:
    data = memoryview(body)
    return layout(data, read_footer(data))


def text_page(text: bytes = b"x") -> bytes:
    body = struct.pack("<I", len(text)) + text
    return page(0, body, len(body), (5, STRUCT, thrift_struct((1, INT, 1), (2, INT, 0), (3, INT, 3), (4, INT, 3))))


def dictionary_page(texts: int) -> bytes:
    body = gzip.compress(bytes(4 * texts))
    return page(2, body, 4 * texts, (7, STRUCT, thrift_struct((1, INT, texts), (2, INT, 0))))


def test_a_file_that_is_made_by_hand_is_measured() -> None:
    pages = text_page()
    body = parquet(pages * 2, [[(0, len(pages)), (len(pages), len(pages))]])
    assert measured(body) == Layout(10_000, [])
    [spans] = read_footer(memoryview(body)).groups
    assert [(span.leaf.path, span.start, span.end, span.values) for span in spans] == [
        ("id", 4, 4 + len(pages), 1),
        ("c1", 4 + len(pages), 4 + 2 * len(pages), 1),
    ]


@pytest.mark.parametrize(
    "groups",
    [
        [[(0, len(text_page()))]] * 2,
        [[(0, len(text_page()))] * 2],
        [[(0, 2 * len(text_page())), (len(text_page()), len(text_page()))]],
    ],
    ids=["row groups", "columns", "a part"],
)
def test_columns_that_share_their_pages_are_refused(groups: Any) -> None:
    with pytest.raises(ValueError, match="columns share their pages"):
        measured(parquet(text_page() * 2, groups))


@pytest.mark.parametrize("values", [0, 2])
def test_a_column_with_more_or_fewer_values_than_rows_is_refused(values: int) -> None:
    pages = text_page()
    with pytest.raises(ValueError, match=f"a column has {values} values for 1 rows"):
        measured(parquet(pages, [[(0, len(pages))]], values=values))


def test_a_file_with_fewer_rows_than_it_announces_is_not_taken_for_whole() -> None:
    body = struct.pack("<IBB", 2, 1 << 1, 1) + struct.pack("<I", 1) + b"x"
    about = thrift_struct((1, INT, 1), (2, INT, 0), (3, INT, 3), (4, INT, 3))
    pages = page(0, body, len(body), (5, STRUCT, about))
    with on_disk(parquet(pages, [[(0, len(pages))]], rows=3)) as path:
        batches = ParquetFile(path).batches(10)
        assert next(batches).to_pydict() == {"id": [b"x"]}
        with pytest.raises(FileError, match="it announces 3 rows, but has 1"):
            next(batches)


def test_a_column_with_two_dictionaries_is_refused() -> None:
    pages = dictionary_page(3) * 2 + text_page()
    with pytest.raises(ValueError, match="a column has two dictionaries"):
        measured(parquet(pages, [[(0, len(pages))]], codec=2))


def test_pages_that_nobody_reads_count_as_well() -> None:
    pages = page(1, b"", 0, (6, STRUCT, thrift_struct())) * 250_001
    with pytest.raises(FileError, match="250,001 pages, over the limit of 250,000"):
        measured(parquet(pages, [[(0, len(pages))]]))


def test_a_header_may_not_be_large() -> None:
    pages = thrift_struct((1, INT, 1), (2, INT, 0), (3, INT, 0), (9, TEXT, bytes(1 << 17)))
    with pytest.raises(ValueError, match="its description is cut off"):
        measured(parquet(pages, [[(0, len(pages))]]))


def test_a_number_may_not_be_endless() -> None:
    with pytest.raises(ValueError, match="a number in its description is too long"):
        measured(ended(b"PAR1", b"\x15" + b"\xff" * 300_000 + b"\1\0"))


def test_names_and_rows_have_limits() -> None:
    body = BytesIO()
    pq.write_table(pa.table({"x" * 4_097: [1]}), body)
    with pytest.raises(FileError, match="4,097 bytes in the name of a column, over the limit of 4,096"):
        measured(body.getvalue())
    body = BytesIO()
    pq.write_table(pa.table({"id": pa.nulls(10_000_001, pa.int8())}), body)
    with pytest.raises(FileError, match="10,000,001 rows, over the limit of 10,000,000"):
        measured(body.getvalue())


def test_a_dictionary_of_many_texts_counts_by_their_number() -> None:
    pages = dictionary_page(1_000_000)
    assert measured(parquet(pages, [[(0, len(pages))]], codec=2)) == Layout(10_000, ["id"])
    pages = dictionary_page(5_000_000)
    with pytest.raises(FileError, match="bytes to hold at once"):
        measured(parquet(pages, [[(0, len(pages))]], codec=2))


@pytest.mark.parametrize("rows", [0, 1, 70_000])
def test_the_end_of_a_file_tells_its_rows(rows: int) -> None:
    body = BytesIO()
    pq.write_table(pa.table({"id": [str(row) for row in range(rows)]}, pa.schema({"id": pa.string()})), body)
    assert rows_told(body.getvalue()) == rows_told(body.getvalue()[-2_000:]) == rows


@pytest.mark.parametrize(
    "tail", [b"", b"PAR1", b"\x08\x00\x00\x00PAR1", b"x" * 20 + b"\x10\x00\x00\x00PAR1", b"x" * 99]
)
def test_an_end_that_is_none_tells_no_rows(tail: bytes) -> None:
    with pytest.raises((ArithmeticError, LookupError, ValueError)):
        rows_told(tail)
