from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from currents_core.delivering.look_up import Judged, look_up
from currents_core.delivering.prepare import Preparation
from currents_core.errors import FileError
from currents_core.file_key import SourceFile
from tests.tools.house import HOUR, OPEN, House, table


def judged(path: Path, rows: pa.Table | bytes, text: str, **settings: Any) -> list[Judged]:
    if isinstance(rows, pa.Table):
        pq.write_table(rows, path)
    else:
        path.write_bytes(rows)
    house = House(**settings)
    file = SourceFile("braze", f"in/event_type={OPEN}/date={HOUR}/a.parquet", "etag", path.stat().st_size)
    preparation = Preparation(house.connector, house.target.limits, house.target.wire)
    return list(look_up(text, file, path, preparation))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.parquet"


def fates(found: list[Judged]) -> list[tuple[int, str]]:
    return [(each.row, each.fate) for each in found]


def test_every_row_with_the_id_is_judged_alone(path: Path) -> None:
    assert fates(judged(path, table(["x", "y", None, "x"]), "x")) == [(0, "to send"), (3, "to send")]
    assert judged(path, table(["x", None]), "X") == judged(path, table([None]), "") == []


def test_settings_of_today_decide(path: Path) -> None:
    rows = table(["x", "x"], country=["US", "DE"])
    chosen = {"filter": [{"field": "country", "in": ["US"]}]}
    assert fates(judged(path, rows, "x", **chosen)) == [(0, "to send"), (1, "filtered")]
    types = {"event_types": {"exclude": [OPEN]}}
    assert fates(judged(path, rows, "x", **types)) == [(0, "filtered"), (1, "filtered")]


def test_a_row_that_can_not_be_sent_has_its_reason(path: Path) -> None:
    rows = pa.table({"id": ["x"], "time": pa.array([None], pa.int64()), "country": ["US"]})
    [found] = judged(path, rows, "x")
    assert (found.fate, found.reason.partition(":")[0]) == ("dead letter", "no_time")


@pytest.mark.parametrize(
    "ids",
    [
        pa.array(["x", "y"], pa.large_string()),
        pa.array(["x", "y"]).dictionary_encode(),
        pa.array([b"x", b"\xff"], pa.binary()),
        pa.array([b"x", b"\xff"], pa.large_binary()),
    ],
)
def test_ids_are_found_however_they_are_stored(path: Path, ids: pa.Array) -> None:
    found = judged(path, pa.table({"id": ids, "time": [1, 2]}), "x")
    assert [each.row for each in found] == [0]


@pytest.mark.parametrize("rows", [pa.table({"time": [1]}), pa.table({"id": [1], "time": [1]})])
def test_what_has_no_text_as_id_has_no_such_row(path: Path, rows: pa.Table) -> None:
    assert judged(path, rows, "1") == []


def test_a_file_that_is_none_says_so(path: Path) -> None:
    with pytest.raises(FileError, match="neither a Parquet nor an Avro file"):
        judged(path, b"no file", "x")
