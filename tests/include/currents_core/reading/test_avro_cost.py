from __future__ import annotations

from typing import Any

import fastavro
import pytest

from currents_core.errors import FileError
from currents_core.reading.avro_cost import Growth, growth

ID = {"name": "id", "type": "string"}


def of(*fields: dict[str, Any]) -> Growth:
    return growth(fastavro.parse_schema({"type": "record", "name": "r", "fields": [ID, *fields]}))


def lists(items: Any) -> dict[str, Any]:
    return {"name": "a", "type": {"type": "array", "items": items}}


def record(*types: Any) -> dict[str, Any]:
    return {"type": "record", "name": "q", "fields": [{"name": f"f{n}", "type": kind} for n, kind in enumerate(types)]}


def test_what_braze_writes_grows_little() -> None:
    plain = [{"name": f"c{number}", "type": ["null", "string"]} for number in range(33)]
    assert of(*plain).item == 1
    assert of(*plain).arrow < 20
    assert of(*plain, lists(["null", "string"])).item == 60


def test_long_symbols_and_empty_fields_in_lists_grow_much() -> None:
    symbols = {"type": "enum", "name": "e", "symbols": ["A" * 10_000]}
    assert of({"name": "e", "type": symbols}).arrow > 3_000
    assert of(lists(symbols)).item > 10_000
    assert of(lists(record("int", *["null"] * 1_000))).item > 90_000
    assert of({"name": "m", "type": {"type": "map", "values": symbols}}).item > 5_000


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        (lists("null"), "a list of nulls, of which a few bytes may hold any number"),
        (lists(record("null", "null")), "a list of nulls"),
        (lists({"type": "fixed", "name": "f", "size": 0}), "a list of nulls"),
        ({"name": "x" * 5_000, "type": "int"}, "5,000 bytes in the name of a column, over the limit of 4,096"),
        ({"name": "b", "type": record(*["int"] * 2_000)}, "2,001 columns, over the limit of 2,000"),
    ],
)
def test_what_no_currents_file_has_is_refused(field: dict[str, Any], complaint: str) -> None:
    with pytest.raises(FileError, match=complaint):
        of(field)


def test_a_schema_too_deep_is_refused() -> None:
    kind: Any = "int"
    for _ in range(70):
        kind = {"type": "array", "items": kind}
    with pytest.raises(FileError, match="65 columns within each other, over the limit of 64"):
        of({"name": "deep", "type": kind})
