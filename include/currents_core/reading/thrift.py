"""Structs in Thrift's compact protocol, in which Parquet describes itself, as plain Python values.

pyarrow shows no page headers, and ends the process over some damaged footers. So both are read here, which needs no
more than these few rules.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from currents_core.reading.cost import DEPTH

Fields = dict[int, Any]

# No number has more bits.
_LONGEST = 64


class Reader:
    """Reads structs from ``data``, bytes or a view of bytes, one after the other; ``at`` is the place of the next.

    A struct may have at most ``values`` values, which take about a microsecond each.

    Raises ValueError, IndexError or KeyError if the bytes are damaged.
    """

    def __init__(self, data: bytes | memoryview, *, values: int) -> None:
        self.at = 0
        self._data = data
        self._values = self._left = values
        self._depth = 0

    def next(self) -> Fields:
        """The next struct: its values by field number. Lists are lists, texts are bytes, and maps are left out."""
        self._left = self._values
        return self._struct()

    def _struct(self) -> Fields:
        self._depth += 1
        if self._depth > DEPTH:
            raise ValueError("its description is nested too deep")
        fields: Fields = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 0x0F
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else _READ[kind](self)
        self._depth -= 1
        return fields

    def _byte(self) -> int:
        self._left -= 1
        if self._left < 0:
            raise ValueError("its description has too many values")
        byte = self._data[self.at]
        self.at += 1
        return byte

    def _varint(self) -> int:
        byte = self._byte()
        if byte < 0x80:
            return byte
        value, shift = byte & 0x7F, 7
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > _LONGEST:
                raise ValueError("a number in its description is too long")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _bytes(self, count: int) -> bytes:
        start, self.at = self.at, self.at + count
        if self.at > len(self._data):
            raise ValueError("its description is cut off")
        return bytes(self._data[start : self.at])

    def _text(self) -> bytes:
        return self._bytes(self._varint())

    def _list(self) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 < _LONG_LIST else self._varint()
        return [_READ[head & 0x0F](self) for _ in range(count)]

    def _map(self) -> None:
        count = self._varint()
        if count:
            kinds = self._byte()
            for _ in range(count):
                _READ[kinds >> 4](self)
                _READ[kinds & 0x0F](self)


_TRUE, _FALSE, _LONG_LIST = 1, 2, 15
_READ: dict[int, Callable[[Reader], Any]] = {
    _TRUE: Reader._byte,
    _FALSE: Reader._byte,
    3: Reader._byte,
    4: Reader._integer,
    5: Reader._integer,
    6: Reader._integer,
    7: lambda reader: reader._bytes(8),
    8: Reader._text,
    9: Reader._list,
    10: Reader._list,
    11: Reader._map,
    12: Reader._struct,
}
