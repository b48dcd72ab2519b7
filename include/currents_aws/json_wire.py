"""Entries as PutEvents of a classic bus takes them, in the JSON protocol of AWS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import pyarrow as pa

from currents_core.entry import Common, Span
from currents_core.shaping.json_text import TEXT, Parts, concat


class JsonWire:
    """A ``Wire`` whose entries are JSON objects, each with a comma after it. All of them have the members ``fixed``.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
    """

    is_nested = True
    asks_for_users = False

    def __init__(self, fixed: Mapping[str, str] | None = None) -> None:
        self._fixed = dict(fixed or {})

    def written(
        self,
        common: Common,
        envelopes: Parts,
        times: pa.Array,
        ids: pa.Array,  # noqa: ARG002
        users: pa.Array | None = None,  # noqa: ARG002
    ) -> pa.Array:
        """The entries as they lie in a request; see ``Wire``."""
        members = {**self._fixed, "Source": common.source, "DetailType": common.detail_type}
        head = orjson.dumps({**members, "Resources": [common.resource]})[:-1] + b',"Detail":'
        return concat(head.decode(), *envelopes, ',"Time":', times.cast(TEXT), "},").cast(pa.large_binary())

    def read(self, entry: memoryview) -> tuple[str, int]:
        """The envelope of an entry and its time; see ``Wire``."""
        told = orjson.loads(entry[:-1])
        return told["Detail"], told["Time"]


def head_of(parameters: Mapping[str, str]) -> bytes:
    """The beginning of a body, up to the first entry, with the parameters of the request beside its entries."""
    return orjson.dumps({**parameters, "Entries": []})[: -len("]}")]


_HEAD = head_of({})


def body_of(chunk: Sequence[Span], head: bytes = _HEAD) -> bytes:
    """The body of a request with these entries, which are those of a ``JsonWire``."""
    *entries, last = [span.written for span in chunk]
    return b"".join((head, *entries, last[:-1], b"]}"))
