"""Makes Currents files: for any event type that the catalogue knows, realistic, and the same for the same seed."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from include.currents.catalog import Field, catalog
from include.currents.hour import parse_hour

ARROW = {
    "string": pa.string(),
    "json": pa.string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "boolean": pa.bool_(),
    "array<string>": pa.list_(pa.string()),
}
# Nullable fields are null this often; which rate a field has follows from its name.
NULL_RATES = (0.0, 0.05, 0.3, 0.9)
DAY = 86_400

NAMES = ("Zoë", "José", "Łukasz", "陈伟", "さくら", "محمد", "O'Neil", "Anna Maria", "Noël 🎄")
TEXTS = (
    "Your order is on its way",
    'She said "yes" 🎉',
    "Zwölf Boxkämpfer jagen Viktor",
    "Line one\nline two\tand a tab",
    "C:\\Temp\\report.txt",
    "ご注文ありがとうございます",
    "مرحبا بالعالم",
    "50% off — today only…",
)
POOLS: dict[str, Sequence[Any]] = {
    "timezone": ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "America/Sao_Paulo", "Etc/UTC"),
    "currency": ("USD", "EUR", "JPY", "BRL"),
    "country": ("US", "DE", "JP", "BR"),
    "language": ("en", "de", "ja", "pt"),
    "gender": ("m", "f", "o", "n"),
    "platform": ("ios", "android", "web"),
    "device_model": ("iPhone17,2", "Pixel 10", "SM-S938B", "iPad16,3"),
    "os_version": ("iOS 20.1", "17", "16.2"),
    "sdk_version": ("14.0.2", "39.1.0"),
    "name": ("added to cart", "level up", "Vidéo terminée", 'rated "5 stars"'),
    "product_id": tuple(f"sku-{number}" for number in range(40)),
    "price": (3.14, 0.1, 19.99, 1299.0, 16777216.0, 0.0),
    "user_agent": ("Mozilla/5.0 (iPhone; CPU iPhone OS 20_1 like Mac OS X)", "Mozilla/5.0 (X11; Linux x86_64)"),
    "version": ("14.0.2", "39.1.0", "1"),
    "ad_id_type": ("roku_ad_id", "windows_ad_id"),
}


@dataclass(frozen=True)
class SampleFile:
    """One file: where it belongs, what is in it, and how many rows repeat an id of its event type and hour."""

    key: str
    event_type: str
    hour: str
    table: pa.Table
    repeats: int

    @property
    def body(self) -> bytes:
        """The file as Parquet."""
        sink = BytesIO()
        pq.write_table(self.table, sink)
        return sink.getvalue()

    def avro(self, codec: str = "deflate") -> bytes:
        """The file as Braze writes it: Avro, the record named after the event type, optional fields as unions."""
        fields = catalog()[self.event_type].fields
        schema = {
            "type": "record",
            "name": f"dataexport.S3.inner.{self.event_type}",
            "fields": [_avro_field(fields[name]) for name in self.table.column_names],
        }
        sink = BytesIO()
        fastavro.writer(sink, fastavro.parse_schema(schema), self.table.to_pylist(), codec=codec)
        return sink.getvalue()


def make_rows(event_type: str, count: int, *, hour: str, seed: object = 0) -> pa.Table:
    """``count`` events of one type, with the fields that storage files have, in the catalogue's order and types.

    Raises ValueError for a type that Braze does not document or never writes to storage.
    """
    known = catalog().get(event_type)
    if known is None or not known.stored:
        raise ValueError(f"{event_type!r} is no event type that storage files hold")
    fields = [field for field in known.fields.values() if field.stored]
    columns = [
        _column(field, count, hour, random.Random(f"{seed}/{event_type}/{hour}/{field.name}")) for field in fields
    ]
    return pa.table(columns, schema=pa.schema([pa.field(field.name, ARROW[field.type]) for field in fields]))


def make_files(
    hours: Iterable[str],
    event_types: Iterable[str],
    *,
    files: int = 1,
    rows: int = 100,
    repeat: float = 0.0,
    prefix: str = "currents/",
    old_layout: bool = False,
    first: int = 0,
    seed: object = 0,
) -> Iterator[SampleFile]:
    """``files`` files of ``rows`` rows for every hour and event type, numbered from ``first``.

    A share ``repeat`` of the rows repeats an earlier row of the same type and hour, whichever file that was in. A late
    file is one more, made with a higher ``first``.
    """
    types = list(event_types)
    for hour in hours:
        for event_type in types:
            earlier = None
            for number in range(first, first + files):
                rng = random.Random(f"{seed}/{event_type}/{hour}/{number}")
                fresh = make_rows(event_type, rows - int(rows * repeat), hour=hour, seed=f"{seed}/{number}")
                earlier = fresh if earlier is None else pa.concat_tables([earlier, fresh])
                repeated = earlier.take(
                    pa.array([rng.randrange(len(earlier)) for _ in range(rows - len(fresh))], pa.int64())
                )
                table = pa.concat_tables([fresh, repeated]).combine_chunks()
                key = make_key(prefix, event_type, hour, number, old_layout=old_layout)
                yield SampleFile(key, event_type, hour, table, len(repeated))


def make_key(prefix: str, event_type: str, hour: str, number: int, *, old_layout: bool = False) -> str:
    """The key of a file in Braze's present or former layout."""
    name = f"dataexport+{number}+{number * 15_000:010}.parquet"
    if old_layout:
        integration = "dataexport.S3.integration.5f1a0c"
        return f"{prefix}{integration}/event_type={event_type}/date={hour}/440/us-east/{name}"
    integration = "dataexport.prod-01.S3.integration.5f1a0c"
    return f"{prefix}{integration}/event_type={event_type}/date={hour}/version=1/prod/{name}"


def _avro_field(field: Field) -> dict[str, Any]:
    kind: Any = {"json": "string", "array<string>": {"type": "array", "items": ["null", "string"]}}.get(
        field.type, field.type
    )
    return {"name": field.name, "type": ["null", kind]} if field.nullable else {"name": field.name, "type": kind}


def _column(field: Field, count: int, hour: str, rng: random.Random) -> pa.Array:
    values = _values(field, count, hour, rng)
    rate = random.Random(field.name).choice(NULL_RATES) if field.nullable else 0.0
    if rate:
        values = [None if rng.random() < rate else value for value in values]
    return pa.array(values, ARROW[field.type])


def _values(field: Field, count: int, hour: str, rng: random.Random) -> Sequence[Any]:
    """Values for a field. Ids and times are each their own; others come from a small pool, as they do in life."""
    if field.name == "id":
        return [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(count)]
    if field.name in ("time", "time_ms"):
        unit = 1000 if field.name == "time_ms" else 1
        start = int(parse_hour(hour).timestamp())
        return [(start + _moment(rng)) * unit for _ in range(count)]
    if field.name in POOLS:
        return rng.choices(POOLS[field.name], k=count)
    make = _maker(field)
    return rng.choices([make(rng) for _ in range(min(count, 100) or 1)], k=count)


def _moment(rng: random.Random) -> int:
    """Seconds from the hour's start: most events are queued in the hour they happen, a few days later."""
    return rng.randrange(3600) if rng.random() < 0.95 else -rng.randrange(3 * DAY)


def _maker(field: Field) -> Callable[[random.Random], Any]:
    by_type: dict[str, Callable[[random.Random], Any]] = {
        "int": lambda rng: rng.randrange(10_000),
        "long": lambda rng: rng.randrange(2**31, 2**53),
        "float": lambda rng: rng.uniform(-180, 180),
        "boolean": lambda rng: rng.random() < 0.5,
        "json": _json_text,
        "array<string>": lambda rng: rng.choices((None, "https://media.example.com/é.png", 'a "quoted" one'), k=2),
    }
    return by_type.get(field.type) or _string_maker(field.name)


def _string_maker(name: str) -> Callable[[random.Random], str]:
    if name.endswith("_name") or name in ("first_name", "last_name"):
        return lambda rng: rng.choice(NAMES)
    if name.endswith(("_id", "_api_id")):
        return lambda rng: f"{rng.getrandbits(96):024x}"
    if "phone" in name:
        return lambda rng: f"+1555{rng.randrange(10**7):07}"
    if "email" in name or name == "channel_identifier":
        return lambda rng: f"person{rng.randrange(10_000)}@example.com"
    if "url" in name:
        return lambda rng: f"https://example.com/{rng.choice(NAMES)}?q={rng.randrange(1000)}&x=1"
    return lambda rng: rng.choice(TEXTS)


def _json_text(rng: random.Random) -> str:
    if rng.random() < 0.1:
        return "{}"
    own = {"note": rng.choice(TEXTS), "count": rng.randrange(100), "price": 1.1, "tags": ["a", None, rng.choice(NAMES)]}
    return json.dumps({**own, "nested": {"vip": rng.random() < 0.5, "left": None}}, ensure_ascii=rng.random() < 0.5)
