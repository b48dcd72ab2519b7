from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import UUID

import fastavro
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from currents_core.errors import FileError
from currents_core.reading import read_avro
from currents_core.reading.read import Contents, read
from tests.tools.airflow_env import PYTHONPATH
from tests.tools.sample import make_files, on_disk

OPEN = "users.messages.email.Open"
[SAMPLE] = make_files(["2026-11-23-08"], [OPEN], rows=500)


def parquet(table: pa.Table, **options: Any) -> bytes:
    body = BytesIO()
    pq.write_table(table, body, **options)
    return body.getvalue()


def avro(fields: dict[str, Any], records: list[dict[str, Any]], name: str = "r") -> bytes:
    body = BytesIO()
    schema = {"type": "record", "name": name, "fields": [{"name": key, "type": kind} for key, kind in fields.items()]}
    fastavro.writer(body, schema, records)
    return body.getvalue()


def opened(body: bytes, name: str = "f") -> Contents:
    with on_disk(body) as path:
        return read(path, name)


def frames_of(body: bytes, name: str = "f", batch_rows: int = 10_000) -> list[pd.DataFrame]:
    with on_disk(body) as path:
        return [frame for frame, _ in read(path, name, batch_rows=batch_rows).batches]


def rows(body: bytes) -> list[dict[str, Any]]:
    """All rows of a file, as plain values."""
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in frames_of(body)]
    return [row for table in tables for row in table.to_pylist()]


FORMATS = {
    "parquet": SAMPLE.body,
    "parquet gzip": parquet(SAMPLE.table, compression="gzip"),
    "parquet without dictionaries": parquet(SAMPLE.table, use_dictionary=False, compression="none"),
    "parquet in small groups": parquet(SAMPLE.table, row_group_size=7),
    "avro deflate": SAMPLE.avro("deflate"),
    "avro null": SAMPLE.avro("null"),
}


@pytest.mark.parametrize("body", FORMATS.values(), ids=FORMATS)
def test_every_format_gives_the_same_rows_under_their_places_in_the_file(body: bytes) -> None:
    frames = frames_of(body, batch_rows=120)
    assert [row for frame in frames for row in frame.index] == list(range(500))
    assert max(len(frame) for frame in frames) <= 120
    assert rows(body) == SAMPLE.table.to_pylist()


def test_the_schema_of_an_avro_file_names_its_event_type() -> None:
    assert opened(SAMPLE.avro()).event_type == OPEN
    assert opened(SAMPLE.avro()).rows == opened(SAMPLE.body).rows == SAMPLE.table.num_rows
    assert opened(SAMPLE.body).event_type is None
    assert opened(avro({"id": "string"}, [], "other.name")).event_type is None


def test_avro_columns_have_the_types_of_the_writers_own_schema() -> None:
    fields = {
        "id": "string",
        "time": "int",
        "big": ["null", "long"],
        "price": ["null", "float"],
        "wide": "double",
        "flag": ["null", "boolean"],
        "raw": "bytes",
        "urls": {"type": "array", "items": ["null", "string"]},
        "own": {"type": "map", "values": "long"},
        "place": {"type": "record", "name": "p", "fields": [{"name": "x", "type": "int"}]},
        "kind": {"type": "enum", "name": "k", "symbols": ["a", "b"]},
        "at": {"type": "long", "logicalType": "timestamp-micros"},
        "never": "null",
    }
    values = {"id": "a", "time": 1, "big": 2**60, "price": 0.5, "wide": 0.1, "flag": None, "raw": b"x", "never": None}
    nested = {"urls": ["u", None], "own": {"k": 1}, "place": {"x": 2}, "kind": "b", "at": 1_795_420_801_000_000}
    body = avro(fields, [{**values, **nested}])
    assert [str(each) for each in opened(body).schema.types] == [
        "string",
        "int32",
        "int64",
        "float",
        "double",
        "bool",
        "binary",
        "list<item: string>",
        "map<string, int64>",
        "struct<x: int32>",
        "string",
        "timestamp[us, tz=UTC]",
        "null",
    ]
    [frame] = frames_of(body)
    assert frame["big"].tolist() == [2**60]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "neither a Parquet nor an Avro file"),
        (b"id,time\n1,2", "neither a Parquet nor an Avro file"),
        (b"PAR1", "not a readable Parquet file"),
        (SAMPLE.body[:-20], "not a readable Parquet file"),
        (SAMPLE.body[: len(SAMPLE.body) // 2], "not a readable Parquet file"),
        (b"Obj\x01", "not a readable Avro file"),
        (SAMPLE.avro()[:-1], "the block at byte [0-9]+ is damaged or cut off"),
        (avro({"x": ["null", "int", "string"]}, []), "has several types"),
    ],
)
def test_what_is_no_whole_file_is_named_with_the_remedy(body: bytes, complaint: str) -> None:
    with pytest.raises(FileError, match=rf"^s3://b/k: .*{complaint}.*; replace or remove it$"):
        frames_of(body, "s3://b/k")


def test_an_avro_file_that_is_cut_off_anywhere_is_no_shorter_file() -> None:
    [sample] = make_files(["2026-11-23-08"], [OPEN], rows=40)
    body = BytesIO()
    schema = fastavro.reader(BytesIO(sample.avro())).writer_schema
    assert schema
    fastavro.writer(body, schema, sample.table.to_pylist(), sync_interval=1000)
    whole = body.getvalue()
    assert len(rows(whole)) == 40
    lengths = set()
    for cut in range(1, len(whole)):
        try:
            lengths.add(len(rows(whole[:cut])))
        except FileError:
            continue
    # Only where it ends between two blocks is it a file like any other: the format does not say how many follow.
    blocks = [each.num_records for each in fastavro.block_reader(BytesIO(whole))]
    assert lengths == {sum(blocks[:count]) for count in range(len(blocks))}


def test_a_file_without_any_known_column_says_what_was_expected_and_found() -> None:
    with pytest.raises(FileError, match=r"expected id, time, user_id or others .*, found order, amount; replace"):
        opened(parquet(pa.table({"order": [1], "amount": [2]})))


def test_text_that_is_no_utf8_comes_as_bytes() -> None:
    values = [b"\xff", b"ok", None]
    binary = pa.table({"id": pa.array(values, pa.binary()), "note": pa.array(values, pa.binary()), "n": [1, 2, 3]})
    text = binary.cast(pa.schema({"id": pa.string(), "note": pa.large_string(), "n": pa.int64()}), safe=False)
    assert [row["id"] for row in rows(parquet(text))] == values
    nested = pa.table({"id": ["a"], "urls": pa.array([[b"\xff"]], pa.list_(pa.binary()))})
    bad = nested.cast(pa.schema({"id": pa.string(), "urls": pa.list_(pa.string())}), safe=False)
    assert rows(parquet(bad))[0]["urls"] == [b"\xff"]


def test_int96_may_tell_any_year() -> None:
    moments = [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59), datetime(2026, 11, 23, 8, 0, 1, 999_999)]
    body = parquet(
        pa.table({"id": ["a", "b", "c"], "time": [1, 2, 3], "own": pa.array(moments, pa.timestamp("us"))}),
        use_deprecated_int96_timestamps=True,
    )
    assert [row["own"] for row in rows(body)] == moments


def test_columns_that_parquet_marks_as_json_or_uuid_are_text() -> None:
    ids = [UUID(int=number) for number in range(2)]
    table = pa.table(
        {
            "id": pa.array([each.bytes for each in ids], pa.uuid()),
            "properties": pa.array(['{"a":1}', None], pa.json_()),
        }
    )
    [frame] = frames_of(parquet(table))
    assert [str(kind) for kind in frame.dtypes] == ["string[pyarrow]", "string[pyarrow]"]
    assert frame["id"].tolist() == [str(each) for each in ids]
    assert frame["properties"].tolist()[0] == '{"a":1}'


def test_what_braze_writes_is_not_read_record_by_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert len(rows(SAMPLE.avro())) == 500
    assert caplog.text == ""
    assert rows(avro({"id": "string", "own": {"type": "map", "values": "long"}}, [{"id": "a", "own": {"k": 1}}]))
    assert "record by record from row 0 on" in caplog.text


def test_an_avro_file_may_not_announce_more_rows_than_a_file_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_avro, "ROWS", 499)
    with pytest.raises(FileError, match="500 rows, over the limit of 499; replace or remove it"):
        opened(SAMPLE.avro())


@pytest.fixture
def no_datafusion(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "datafusion", None)
    read_avro._datafusion.cache_clear()
    yield
    read_avro._datafusion.cache_clear()


def test_while_avro_is_read_no_file_of_the_rows_has_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Else a process that is killed would leave its rows behind, as they were before any rule."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    session, listed = read_avro._session, []

    class Session:
        def read_avro(self, path: str, **options: Any) -> Any:
            listed.append((path, list(tmp_path.iterdir())))
            return session(10_000).read_avro(path, **options)

    monkeypatch.setattr(read_avro, "_session", lambda _: Session())
    with NamedTemporaryFile() as named:
        assert [Path(named.name)] == list(tmp_path.iterdir()), "a file with a name would be seen"
    body = tmp_path.parent / "body.avro"
    body.write_bytes(SAMPLE.avro())
    assert sum(len(frame) for frame, _ in read(body, "f").batches) == 500
    assert listed
    assert [names for _, names in listed if names] == []


@pytest.mark.usefixtures("no_datafusion")
def test_without_datafusion_avro_gives_the_same_rows(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for codec in ("deflate", "null"):
        assert rows(SAMPLE.avro(codec)) == SAMPLE.table.to_pylist()
    frames = frames_of(SAMPLE.avro(), batch_rows=120)
    assert [row for frame in frames for row in frame.index] == list(range(500))
    assert [len(frame) for frame in frames] == [120, 120, 120, 120, 20]
    [line] = caplog.messages
    assert "ten times slower" in line
    assert "install currents-export[avro]" in line


def test_datafusion_is_imported_only_where_avro_is_read() -> None:
    code = "import sys, currents_core.reading.read; print('datafusion' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": PYTHONPATH}, capture_output=True, text=True, check=True
    )
    assert run.stdout == "False\n"


def test_text_in_avro_that_is_no_utf8_comes_as_bytes() -> None:
    body = avro({"id": "string"}, [{"id": "here"}, {"id": "ok"}]).replace(b"here", b"\xff\xfe\xfd!")
    assert [row["id"] for row in rows(body)] == [b"\xff\xfe\xfd!", b"ok"]


@settings(max_examples=200)
@given(st.sampled_from(list(FORMATS)), st.data())
def test_damage_ends_in_a_clear_error_or_in_rows_never_in_anything_else(form: str, data: st.DataObject) -> None:
    body = bytearray(FORMATS[form])
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        frames = frames_of(bytes(body))
    except FileError as error:
        assert str(error).startswith("f: ")  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert [row for frame in frames for row in frame.index] == list(range(sum(map(len, frames))))


def test_an_index_that_pandas_wrote_takes_no_column_away() -> None:
    body = BytesIO()
    SAMPLE.table.to_pandas().set_index("id").to_parquet(body)
    assert sorted(row["id"] for row in rows(body.getvalue())) == sorted(SAMPLE.table["id"].to_pylist())
