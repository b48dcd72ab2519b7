"""Makes events that test a destination: one of each event type, valid, marked, and with values that nobody could mean.

Source: https://www.braze.com/docs/user_guide/data/distribution/braze_currents/event_glossary
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from currents_core.catalog import SPLIT_INTO, Field, catalog, envelope_name
from currents_core.entry import Common, Entries, Made, Wire, entry_size
from currents_core.setup.settings import Connector
from currents_core.shaping.columns import arrow
from currents_core.shaping.encode import encode
from currents_core.shaping.envelope import Events
from currents_core.shaping.event_schema import exported_types
from currents_core.shaping.json_text import lengths

_TYPES = {
    "string": pa.string(),
    "int": pa.int64(),
    "long": pa.int64(),
    "float": pa.float64(),
    "boolean": pa.bool_(),
    "array<string>": pa.list_(pa.string()),
    "json": pa.string(),
}
_JSON = "json"


def id_of_test(sending: str, number: int) -> str:
    """The id of an event of a sending. No id of a sending contains another, so that ids may be searched in texts."""
    return f"test-{sending}-{number:04}"


def entries_to_test(connector: Connector, wire: Wire, sending: str, now: datetime) -> Iterator[Entries]:
    """One entry of each of the ``exported_types``, in their order, numbered from 0 as its row.

    ``sending`` names the sending, in up to 100 plain characters; it must be another each time, so that a bus that
    deduplicates takes the events. ``now`` is their time.
    """
    source = connector.source
    resource = f"arn:aws:s3:::{source.bucket}/{source.prefix}test-{sending}"
    for number, event_type in enumerate(exported_types(connector)):
        events = event_to_test(event_type, id_of_test(sending, number), int(now.timestamp()))
        envelopes = encode(events, Counter(), "test", is_nested=wire.is_nested)
        common = Common(connector.event_source, event_type, resource)
        ids, times = arrow(events.frame["id"]), arrow(events.frame["time"])
        sizes = pc.add(lengths(envelopes), entry_size(common.source, event_type, 0, resource))
        written = wire.written(common, envelopes, times, ids)
        yield Entries([number], common, wire, written, sizes.to_pylist(), Made())


def event_to_test(event_type: str, event_id: str, time: int) -> Events:
    """One event of a documented type, with every field that its files have."""
    fields = [each for each in catalog()[event_type].fields.values() if each.stored and each.where != "top"]
    columns = {"id": (event_id, pa.string()), "time": (time, pa.int64())}
    columns |= {envelope_name(event_type, each.name): (_value(each), _TYPES[each.type]) for each in fields}
    frame = pd.DataFrame(
        {name: pd.Series([value], dtype=pd.ArrowDtype(kind)) for name, (value, kind) in columns.items()}
    )
    # Only these are objects in an event; JSON of other fields stays text.
    split = {SPLIT_INTO[event_type]} if event_type in SPLIT_INTO else set()
    return Events(event_type, frame, frozenset(split))


def _value(field: Field) -> object:
    """A value that says that it is none."""
    if field.type == "array<string>":
        return [f"test {field.name}"]
    plain: dict[str, object] = {"int": 0, "long": 0, "float": 0.5, "boolean": False, _JSON: '{"test":true}'}
    return plain.get(field.type, f"test {field.name}")
