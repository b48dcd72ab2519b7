"""Writes Thrift's compact protocol, for Parquet files that no writer would write."""

from __future__ import annotations

from collections.abc import Sequence

# A field: its number, its type in the protocol, and its value. A struct is the bytes of one; a list is the type of its
# items and the bytes of each.
Field = tuple[int, int, int | bytes | tuple[int, Sequence[bytes]]]
INT, TEXT, LIST, STRUCT = 5, 8, 9, 12


def struct(*fields: Field) -> bytes:
    """A struct with its fields in ascending order."""
    written, last = b"", 0
    for number, kind, value in fields:
        written += bytes([(number - last) << 4 | kind])
        last = number
        if isinstance(value, int):
            written += varint(value << 1)
        elif isinstance(value, bytes):
            written += varint(len(value)) + value if kind == TEXT else value
        else:
            written += b"".join((bytes([0xF0 | value[0]]), varint(len(value[1])), *value[1]))
    return written + b"\0"


def varint(number: int) -> bytes:
    """A number from 0 on."""
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def page(kind: int, body: bytes, size: int, *about: Field) -> bytes:
    """A page of a column, and its header."""
    return struct((1, INT, kind), (2, INT, size), (3, INT, len(body)), *about) + body


def parquet(
    pages: bytes, groups: Sequence[Sequence[tuple[int, int]]], codec: int = 0, *, values: int = 1, rows: int = 0
) -> bytes:
    """A file of text columns of one value; ``groups`` has the first byte and the length of each column in ``pages``.

    ``values`` is how many values each column says that it has in a group, and ``rows`` how many rows the file says.
    """
    names = [f"c{number}".encode() if number else b"id" for number in range(len(groups[0]))]
    schema = [struct((4, TEXT, b"schema"), (5, INT, len(names)))]
    schema += [struct((1, INT, 6), (3, INT, 1), (4, TEXT, name)) for name in names]
    written = []
    for group in groups:
        columns = []
        for name, (start, length) in zip(names, group, strict=True):
            path = (TEXT, [varint(len(name)) + name])
            about = struct(
                (1, INT, 6),
                (2, LIST, (INT, [b"\0"])),
                (3, LIST, path),
                (4, INT, codec),
                (5, 6, values),
                (6, 6, length),
                (7, 6, length),
                (9, 6, start + 4),
            )
            columns.append(struct((2, 6, start + 4), (3, STRUCT, about)))
        written.append(struct((1, LIST, (STRUCT, columns)), (2, 6, 100), (3, 6, 1)))
    told = (3, 6, rows or len(groups))
    footer = struct((1, INT, 1), (2, LIST, (STRUCT, schema)), told, (4, LIST, (STRUCT, written)))
    return ended(b"PAR1" + pages, footer)


def ended(body: bytes, footer: bytes) -> bytes:
    """A file that ends in a footer."""
    return body + footer + len(footer).to_bytes(4, "little") + b"PAR1"
