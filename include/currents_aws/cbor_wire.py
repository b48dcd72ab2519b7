"""Entries as PutEvents of a custom bus takes them, in CBOR.

Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_PutEvents.html and
https://www.rfc-editor.org/rfc/rfc8949#section-3
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import cbor2
import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from currents_aws.aws_protocol import from_cbor
from currents_core.entry import Common, Span
from currents_core.shaping.json_text import TEXT, Parts, concat, lengths

# The most bytes of a DeduplicationId. AWS counts characters, of which there are no more than bytes.
# Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_PutEventsSystemMetadata.html
_MOST_ID = 128
_BYTES = pa.large_binary()
# The first bytes of values: a map of six pairs, one of one pair, an array of one byte's length, a text whose length
# takes four bytes and one byte, a number of eight bytes at or above zero and below, and "seconds since the epoch".
_MAP_6, _MAP_1, _MAP_2, _ARRAY, _LONG_TEXT, _SHORT_TEXT = b"\xa6", b"\xa1", b"\xa2", 0x98, 0x7A, 0x78
_NUMBER, _NEGATIVE, _EPOCH = 0x1B, 0x3B, b"\xc1"
_KIND_BYTES = 12
# pandas' hash is keyed with 16 bytes. It may never change: an event has to come back with the group that it had.
_GROUPS_KEY = "currents-groups1"


class CborWire:
    """A ``Wire`` whose entries are CBOR maps, each with a DeduplicationId.

    That is a hash of the ``sender`` and the event type, and the event's id. A bus compares it with those of all its
    senders. A ``salt`` makes it differ from that of the same event as it was sent before, so that the bus takes on
    purpose what it took already.

    With a number of ``groups``, an entry also has an EventGroupId: that of its user, which is a hash of the user's id
    and one of so many. Whoever sends, a user has the same group, and so has an event. Entries without a user have none.
    """

    is_nested = False

    def __init__(self, sender: str, salt: str = "", groups: int | None = None) -> None:
        self._sender = (sender, salt)
        self._groups = groups
        self.asks_for_users = groups is not None
        # What begins the metadata of an entry: of each group, and last of those without one.
        members = [_MAP_2 + cbor2.dumps("EventGroupId") + cbor2.dumps(str(number)) for number in range(groups or 0)]
        self._metadata = pa.array([*members, _MAP_1], _BYTES)

    def written(
        self, common: Common, envelopes: Parts, times: pa.Array, ids: pa.Array, users: pa.Array | None = None
    ) -> pa.Array:
        """The entries as they lie in a request; see ``Wire``."""
        fixed = {"Source": common.source, "DetailType": common.detail_type, "Resources": [common.resource]}
        head = _MAP_6 + b"".join(map(cbor2.dumps, [each for pair in fixed.items() for each in pair]))
        once = self.deduplication_ids(common.detail_type, ids)
        return pc.binary_join_element_wise(
            pa.scalar(head + cbor2.dumps("Detail"), _BYTES),
            _prefixed(_LONG_TEXT, lengths(envelopes), ">u4"),
            *(_binary(part) for part in envelopes),
            pa.scalar(cbor2.dumps("Time") + _EPOCH, _BYTES),
            _numbers(times),
            *self._begun_metadata(users if users is not None else pa.nulls(len(ids), TEXT)),
            _prefixed(_SHORT_TEXT, pc.binary_length(once), ">u1"),
            once.cast(_BYTES),
            pa.scalar(b"", _BYTES),
        )

    def deduplication_ids(self, event_type: str, ids: pa.Array) -> pa.Array:
        """The DeduplicationId of each event of a type: large_string of up to 128 bytes."""
        kind = hashlib.blake2b(orjson.dumps([*self._sender, event_type]), digest_size=_KIND_BYTES).hexdigest()
        # All beginnings are equally long, so no two different events share an id.
        plain = concat(f"{kind}:", ids.cast(TEXT))
        long = pc.greater(pc.binary_length(plain), _MOST_ID)
        if not pc.any(long).as_py():
            return plain
        hashed = [hashlib.sha256(each.encode()).hexdigest() for each in plain.filter(long).to_pylist()]
        return pc.replace_with_mask(plain, long, pa.array(hashed, TEXT))

    def _begun_metadata(self, users: pa.Array) -> Sequence[pa.Array | pa.Scalar]:
        """The metadata of each entry up to, but not including, its DeduplicationId, in parts."""
        before, after = cbor2.dumps("SystemMetadata"), cbor2.dumps("DeduplicationId")
        if self._groups is None:
            return [pa.scalar(before + _MAP_1 + after, _BYTES)]
        numbers = pc.fill_null(pa.array(self.group_numbers(users)), self._groups)
        return [pa.scalar(before, _BYTES), self._metadata.take(numbers), pa.scalar(after, _BYTES)]

    def group_numbers(self, users: pa.Array) -> pa.Array:
        """The group of each user, from 0: int64, null where the user is."""
        values = pc.fill_null(users, "").cast(_BYTES).to_numpy(zero_copy_only=False)
        hashed = pd.util.hash_array(values, hash_key=_GROUPS_KEY, categorize=False) % np.uint64(self._groups or 1)
        return pc.if_else(users.is_valid(), pa.array(hashed.astype(np.int64)), None)

    def read(self, entry: memoryview) -> tuple[str, int]:
        """The envelope of an entry and its time; see ``Wire``."""
        told = from_cbor(entry)
        return told["Detail"], told["Time"]


def body_of(bus: str, chunk: Sequence[Span]) -> bytes:
    """The body of a request to the bus with this ARN, with these entries, which are those of a ``CborWire``."""
    count = sum(map(len, chunk))
    head = _MAP_2 + cbor2.dumps("EventBusArn") + cbor2.dumps(bus) + cbor2.dumps("Entries") + bytes((_ARRAY, count))
    return b"".join((head, *(span.written for span in chunk)))


def _binary(part: pa.Array | str) -> pa.Array | pa.Scalar:
    return pa.scalar(part.encode(), _BYTES) if isinstance(part, str) else part.cast(_BYTES)


def _numbers(values: pa.Array) -> pa.Array:
    """Each of some int64 as a CBOR number of nine bytes."""
    numbers = values.cast(pa.int64()).to_numpy()
    # Of a negative number, CBOR keeps how far it is below -1: all its bits the other way round.
    return _joined(np.where(numbers < 0, _NEGATIVE, _NUMBER), np.where(numbers < 0, ~numbers, numbers), ">u8")


def _prefixed(first: int, values: pa.Array, width: str) -> pa.Array:
    """Each of some numbers as a whole number of this width, after one byte that is the same for all."""
    numbers = values.to_numpy()
    return _joined(np.full(len(numbers), first), numbers, width)


def _joined(first: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64], width: str) -> pa.Array:
    packed = np.empty(len(numbers), np.dtype([("first", "u1"), ("number", width)]))
    packed["first"], packed["number"] = first, numbers
    offsets = np.arange(len(numbers) + 1, dtype=np.int64) * packed.itemsize
    return pa.LargeBinaryArray.from_buffers(_BYTES, len(numbers), [None, pa.py_buffer(offsets), pa.py_buffer(packed)])
