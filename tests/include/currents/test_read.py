from __future__ import annotations

from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.currents.errors import FileError
from include.currents.read import read_batches


def parquet(table: pa.Table, **options: object) -> bytes:
    body = BytesIO()
    pq.write_table(table, body, **options)
    return body.getvalue()


GOOD = parquet(pa.table({"id": [str(row) for row in range(500)], "n": range(500)}))


def test_batches_hold_every_row_in_order_under_its_place_in_the_file() -> None:
    frames = list(read_batches(BytesIO(GOOD), "f", batch_rows=120))
    assert [len(frame) for frame in frames] == [120, 120, 120, 120, 20]
    assert [row for frame in frames for row in frame.index] == list(range(500))
    assert [row for frame in frames for row in frame["n"].tolist()] == list(range(500))


def test_a_nullable_int_stays_an_int() -> None:
    body = BytesIO(parquet(pa.table({"n": pa.array([1, None, 2**60], pa.int64())})))
    frame = next(read_batches(body, "f"))
    assert frame["n"].tolist()[0] == 1
    assert frame["n"].tolist()[2] == 2**60


@pytest.mark.parametrize(
    "body", [b"", b"PAR1", b"not parquet at all", GOOD[:-20], GOOD[: len(GOOD) // 2], b"x" + GOOD[1:-4]]
)
def test_what_is_no_whole_parquet_file_is_named_with_the_remedy(body: bytes) -> None:
    with pytest.raises(FileError, match=r"^s3://b/k: not a readable Parquet file \(.+\); replace or remove it$"):
        list(read_batches(BytesIO(body), "s3://b/k"))


def test_text_that_is_not_utf8_is_found_while_reading() -> None:
    binary = pa.table({"id": pa.array([b"\xff\xfe"], pa.binary())})
    bad = binary.cast(pa.schema({"id": pa.string()}), safe=False)
    with pytest.raises(FileError, match="not a readable Parquet file"):
        list(read_batches(BytesIO(parquet(bad)), "f"))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_ends_in_a_clear_error_or_in_rows_never_in_anything_else(data: st.DataObject) -> None:
    body = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        frames = list(read_batches(BytesIO(bytes(body)), "f"))
    except FileError as error:
        assert str(error).startswith("f: ")  # noqa: PT017
    else:
        assert [row for frame in frames for row in frame.index] == list(range(sum(map(len, frames))))
