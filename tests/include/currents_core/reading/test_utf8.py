from __future__ import annotations

import pyarrow as pa
import pytest

from currents_core.errors import FileError
from currents_core.reading.utf8 import with_valid_text


def test_an_index_beyond_its_dictionary_is_damage() -> None:
    indices = pa.array([0, 74], pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, pa.array(["a", "b"]), safe=False)
    with pytest.raises(FileError, match=r"^damaged values"):
        with_valid_text(pa.RecordBatch.from_arrays([column], names=["id"]))


def test_valid_text_stays_as_it_is() -> None:
    batch = pa.RecordBatch.from_pydict({"id": ["é"], "n": [1]})
    assert with_valid_text(batch) is batch


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[b"a", b"\xff"], None], pa.list_(pa.binary())).cast(pa.list_(pa.string()), safe=False),
        pa.array([[b"a", b"\xff"], None], pa.large_list(pa.binary())).cast(pa.large_list(pa.string()), safe=False),
        pa.array([[b"a", b"\xff"], None], pa.list_(pa.binary(), 2)).cast(pa.list_(pa.string(), 2), safe=False),
        pa.ListArray.from_arrays(
            [0, 2, 2],
            pa.DictionaryArray.from_arrays(
                pa.array([0, 1], pa.int32()), pa.array([b"a", b"\xff"]).cast(pa.string(), safe=False), safe=False
            ),
            mask=pa.array([False, True]),
        ),
    ],
    ids=lambda column: str(column.type),
)
def test_text_in_lists_that_is_not_utf8_becomes_its_bytes(column: pa.Array) -> None:
    [found] = with_valid_text(pa.RecordBatch.from_arrays([column], names=["urls"])).columns
    assert found.to_pylist() == [[b"a", b"\xff"], None]
