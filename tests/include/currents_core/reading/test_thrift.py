from __future__ import annotations

import pytest

from currents_core.reading.thrift import Reader


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b"\0", {}),
        (b"\x11\x12\0", {1: True, 2: False}),
        (b"\x15\x01\x16\xac\x02\0", {1: -1, 2: 150}),
        (b"\x05\x0e\x02\0", {7: 1}),
        (b"\x18\x02hi\0", {1: b"hi"}),
        (b"\x19\x25\x02\x04\0", {1: [1, 2]}),
        (b"\x19\x00\0", {1: []}),
        (b"\x19\xf1\x10" + b"\x01" * 16 + b"\0", {1: [1] * 16}),
        (b"\x1b\x01\x85\x01a\x02\0", {1: None}),
        (b"\x1b\0\0", {1: None}),
        (b"\x1c\x15\x02\0\x15\x04\0", {1: {1: 1}, 2: 2}),
        (b"\x17" + bytes(8) + b"\0", {1: bytes(8)}),
    ],
)
def test_structs_are_read_by_field_number(data: bytes, fields: dict[int, object]) -> None:
    reader = Reader(data + b"rest", values=100)
    assert reader.next() == fields
    assert reader.at == len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x15",
        b"\x18\x7fhi",
        b"\x1f\x01\0",
        b"\x1c" * 100 + b"\0" * 101,
        b"\x19\xf5\xff\xff\xff\x7f" + b"\x02" * 9,
    ],
)
def test_damage_raises_an_error(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError, KeyError)):
        Reader(data, values=1_000).next()


def test_a_struct_of_too_many_values_is_refused_and_each_struct_counts_alone() -> None:
    struct = b"\x19\xf5\x28" + b"\x02" * 40 + b"\0"
    reader = Reader(struct * 3, values=50)
    assert [reader.next() for _ in range(3)] == [{1: [1] * 40}] * 3
    with pytest.raises(ValueError, match="too many values"):
        Reader(struct, values=40).next()
