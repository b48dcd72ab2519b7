"""What the values of an Avro schema take: a byte of a file may stand for any number of them, or for a long one.

Source: https://avro.apache.org/docs/1.12.0/specification/#data-serialization-and-deserialization
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from currents_core.errors import FileError
from currents_core.reading.cost import COLUMNS, DEPTH, NAME_BYTES, require

# The fewest bytes of a value in a file. Numbers of variable length, texts, lists and maps take one at least.
_LEAST = {"null": 0, "float": 4, "double": 8}
# The bytes of a value as a Python object and in Arrow.
_OBJECT_BYTES, _ARROW_BYTES = 60, 17
# Those of a dictionary for a record, and of each of its fields.
_RECORD_BYTES, _FIELD_BYTES = 200, 40


class Cost(NamedTuple):
    """What a value of a schema costs: the fewest bytes in a file, and those as Python objects and in Arrow."""

    least: int
    objects: int
    arrow: int


class Growth(NamedTuple):
    """What records of a schema become in memory, in bytes.

    ``record`` is that of a record as a Python object, without what its lists and maps hold; each byte of these becomes
    ``item``. In Arrow, each byte becomes ``arrow``.
    """

    record: int
    item: int
    arrow: int


def growth(schema: Any) -> Growth:
    """The growth of records of an Avro schema, as fastavro parses it.

    Raises FileError, without the name of the file, if the schema has too many fields, at too great depth, with too long
    names, or lists of what takes no byte.
    """
    require("columns", sum(1 for _ in _leaves(schema, 1)), COLUMNS)
    record, items = _cost(schema), list(_items(schema))
    if any(not item.least for item in items):
        raise FileError("a list of nulls, of which a few bytes may hold any number")
    return Growth(
        record.objects,
        max((item.objects // item.least for item in items), default=1),
        max(each.arrow // max(each.least, 1) for each in (record, *items)),
    )


def _leaves(avro: Any, depth: int) -> Iterator[Any]:
    """The values that hold no others, at any depth. What contains itself is too deep."""
    require("columns within each other", depth, DEPTH)
    match avro:
        case list():
            inner = avro
        case {"type": "record", "fields": fields}:
            inner = [field["type"] for field in fields]
            for field in fields:
                require("bytes in the name of a column", len(field["name"].encode("utf-8", "replace")), NAME_BYTES)
        case {"type": "array", "items": items} | {"type": "map", "values": items}:
            inner = [items]
        case {"type": dict() | list() as held}:
            inner = [held]
        case _:
            yield avro
            return
    for each in inner:
        yield from _leaves(each, depth + 1)


def _items(avro: Any) -> Iterator[Cost]:
    """The cost of the items of each list and map, of which there may be any number."""
    match avro:
        case list():
            for each in avro:
                yield from _items(each)
        case {"type": "record", "fields": fields}:
            for field in fields:
                yield from _items(field["type"])
        case {"type": "array", "items": items}:
            yield _cost(items)
            yield from _items(items)
        case {"type": "map", "values": items}:
            key, value = _cost("string"), _cost(items)
            yield Cost(*(sum(pair) for pair in zip(key, value, strict=True)))
            yield from _items(items)
        case {"type": dict() | list() as held}:
            yield from _items(held)


def _cost(avro: Any) -> Cost:
    match avro:
        case list():
            # A byte tells which of the types it is, and the null one takes no more.
            costs = [_cost(each) for each in avro]
            cost = Cost(1, max(cost.objects for cost in costs), max(cost.arrow for cost in costs))
        case {"type": "record", "fields": fields}:
            costs = [_cost(field["type"]) for field in fields]
            objects = _RECORD_BYTES + sum(_FIELD_BYTES + cost.objects for cost in costs)
            cost = Cost(sum(cost.least for cost in costs), objects, 1 + sum(cost.arrow for cost in costs))
        case {"type": "enum", "symbols": symbols}:
            longest = max((len(symbol.encode("utf-8", "replace")) for symbol in symbols), default=0)
            cost = Cost(1, _OBJECT_BYTES + longest, _ARROW_BYTES + longest)
        case {"type": "fixed", "size": size}:
            cost = Cost(size, _OBJECT_BYTES + size, _ARROW_BYTES + size)
        case {"type": held}:
            cost = _cost(held)
        case _:
            cost = Cost(_LEAST.get(avro, 1), _OBJECT_BYTES, _ARROW_BYTES if avro != "null" else 0)
    return cost
