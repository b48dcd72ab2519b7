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
