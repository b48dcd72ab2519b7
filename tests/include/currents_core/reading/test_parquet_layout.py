from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.errors import FileError
from currents_core.reading import parquet_layout
from currents_core.reading.parquet_footer import read_footer
from currents_core.reading.parquet_layout import Chunk, Layout, layout, longest_text
from tests.tools.sample import make_files


def parquet(table: pa.Table, **options: Any) -> bytes:
    body = BytesIO()
    pq.write_table(table, body, **options)
    return body.getvalue()


def of(body: bytes) -> Layout:
    return layout(memoryview(body), read_footer(memoryview(body)))


def chunks(body: bytes) -> list[list[Chunk]]:
    measure = parquet_layout._Measure(memoryview(body))
    return [measure.group(spans) for spans in read_footer(memoryview(body)).groups]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"row_group_size": 70}, {"compression": "zstd"}])
def test_every_value_of_every_column_is_found_on_a_page(version: str, options: dict[str, Any]) -> None:
    [sample] = make_files(["2026-11-23-08"], ["users.messages.pushnotification.Send"], rows=500)
    body = parquet(sample.table, data_page_version=version, data_page_size=600, **options)
    metadata = pq.ParquetFile(BytesIO(body)).metadata
    found = chunks(body)
    assert len(found) == metadata.num_row_groups
    for group, columns in enumerate(found):
        about = [metadata.row_group(group).column(number) for number in range(metadata.num_columns)]
        assert [chunk.leaf.path for chunk in columns] == [each.path_in_schema for each in about]
        assert [sum(chunk.values) for chunk in columns] == [each.num_values for each in about]
    assert of(body).batch_rows == 10_000


def test_nested_columns_have_dotted_paths_and_may_repeat() -> None:
    table = pa.table({"a": [{"b": ["x"], "c": 1.5}], "d": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32()))})
    [columns] = chunks(parquet(table))
    assert [(each.leaf.path, each.leaf.width, each.leaf.is_repeated) for each in columns] == [
        ("a.b.list.element", None, True),
        ("a.c", 8, False),
        ("d.key_value.key", None, True),
        ("d.key_value.value", 4, True),
    ]


def test_repetitive_and_long_texts_are_read_as_dictionaries() -> None:
    rows = 5_000
    table = pa.table(
        {
            "few": ["a", "b"] * (rows // 2),
            "many": [f"text {row}" for row in range(rows)],
            "long": [f"{row}" if row else "x" * 100_000 for row in range(rows)],
            "number": [1] * rows,
        }
    )
    assert of(parquet(table)).dictionaries == ["few", "long"]
    assert of(parquet(table, use_dictionary=False)).dictionaries == []


def test_fewer_rows_are_read_at_a_time_where_they_are_large() -> None:
    rows = 4_000
    texts = pa.table({"id": ["x" * 60_000 + f"{row:04d}" + "y" * 100 for row in range(rows)]})
    plain = of(parquet(texts, use_dictionary=False)).batch_rows
    assert 64 << 20 >= plain * 60_104 > 64 << 19
    shared = of(parquet(texts, use_dictionary=False, column_encoding={"id": "DELTA_BYTE_ARRAY"})).batch_rows
    assert shared < plain
    alike = pa.table({"id": ["x" * 60_000] * rows})
    assert of(parquet(alike)).batch_rows == 10_000


@pytest.mark.parametrize(
    ("table", "options", "complaint"),
    [
        (pa.table({"id": ["x" * 1_000_000] * 600}), {"use_dictionary": False}, "bytes to hold at once, over the limit"),
        (pa.table({"id": pa.array([[None] * 15_000_000], pa.list_(pa.int8()))}), {}, "bytes to hold at once"),
        (pa.table({f"c{number}": [1] for number in range(2_001)}), {}, "2,001 columns, over the limit of 2,000"),
    ],
)
def test_what_costs_too_much_is_refused_with_the_figure(
    table: pa.Table, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(FileError, match=complaint):
        of(parquet(table, **options))


def test_columns_nested_too_deep_are_refused() -> None:
    deep: Any = {"a": 1}
    for _ in range(70):
        deep = {"a": deep}
    with pytest.raises(FileError, match="65 columns within each other, over the limit of 64"):
        of(parquet(pa.table({"id": [deep]})))


def test_the_size_that_a_page_claims_counts_before_anything_is_decompressed() -> None:
    body = parquet(pa.table({"id": ["x" * 20]}), use_dictionary=False, compression="none")
    # The page claims two gigabytes, in four bytes more; its statistics are as much shorter, so all else stays in place.
    claiming = body.replace(b"\x15<\x15<", b"\x15\xfe\xff\xff\xff\x0f\x15<")
    claiming = claiming.replace(b"(\x14" + b"x" * 20, b"(\x10" + b"x" * 16, 1)
    assert len(claiming) == len(body)
    with pytest.raises(FileError, match=r"2,147,483,[0-9]+ bytes to hold at once, over the limit"):
        of(claiming)


texts = st.lists(st.text(max_size=5) | st.sampled_from(["", "\0", "a\0\0b", "x" * 300, "x" * 70_000]), max_size=20)


@given(texts)
def test_the_longest_text_is_found_whatever_the_texts_are(values: list[str]) -> None:
    encoded = [value.encode() for value in values]
    body = b"".join(struct.pack("<I", len(value)) + value for value in encoded)
    assert longest_text(body, len(encoded)) == max(map(len, encoded), default=0)


def test_texts_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(struct.error):
        longest_text(b"\x05\0\0\0abc", 2)
