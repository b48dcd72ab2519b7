"""Makes Currents files: for any event type, documented or made up, realistic, and the same for the same seed."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from currents_core.catalog import Field, catalog
from currents_core.hour import parse_hour

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
# By type and then by name: an unknown field may have the name of a documented one, and another type.
POOLS: dict[str, dict[str, Sequence[Any]]] = {
    "string": {
        "timezone": ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "America/Sao_Paulo", "Etc/UTC"),
        "currency": ("USD", "EUR", "JPY", "BRL"),
        "country": ("US", "DE", "JP", "BR"),
        "language": ("en", "de", "ja", "pt"),
        "locale_key": ("en-us", "de-de", "ja-jp"),
        "gender": ("m", "f", "o", "n"),
        "dob": ("1990-02-28", "2000-12-31"),
        "home_city": ("Köln", "São Paulo", "東京", "Springfield"),
        "platform": ("ios", "android", "web"),
        "browser": ("Firefox", "Mobile Safari", "Chrome"),
        "carrier": ("Example Mobile", "Téléphonie Exemple"),
        "device_class": ("phone", "tablet", "desktop"),
        "device_model": ("iPhone17,2", "Pixel 10", "SM-S938B", "iPad16,3"),
        "device_os": ("iOS", "Android", "Linux"),
        "os_version": ("iOS 20.1", "17", "16.2"),
        "resolution": ("1179x2556", "1080x2400"),
        "sdk_version": ("14.0.2", "39.1.0"),
        "version": ("14.0.2", "39.1.0", "1"),
        "name": ("added to cart", "level up", "Vidéo terminée", 'rated "5 stars"'),
        "product_id": tuple(f"sku-{number}" for number in range(40)),
        "user_agent": ("Mozilla/5.0 (iPhone; CPU iPhone OS 20_1 like Mac OS X)", "Mozilla/5.0 (X11; Linux x86_64)"),
        "ad_id_type": ("roku_ad_id", "windows_ad_id"),
        "esp": ("mailer-a", "mailer-b"),
        "ip_pool": ("main pool", "newsletters"),
        "mailbox_provider": ("Example Mail", "Primjer Pošta"),
        "from_domain": ("mail.example.com", "news.example.org"),
        "recipient_domain": ("example.com", "example.org"),
    },
    "int": {"http_status_code": (200, 404, 429, 503)},
    "float": {"price": (3.14, 0.1, 19.99, 1299.0, 16777216.0, 0.0)},
    "array<string>": {"suspected_bot_click_reason": (["too fast"], ["too fast", "known range"])},
}
# Least and greatest; degrees, metres and seconds.
RANGES = {
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "altitude": (-400.0, 8_000.0),
    "ll_accuracy": (1.0, 100.0),
    "alt_accuracy": (1.0, 100.0),
    "duration": (0.0, 3_600.0),
}


@dataclass(frozen=True)
class SampleFile:
    """One file: where it belongs, what is in it, and how many rows repeat an id of its event type and hour.

    ``fields`` are those of an event type that the catalog does not know; for one that it knows they may be empty.
    """

    key: str
    event_type: str
    hour: str
    table: pa.Table
    repeats: int
    fields: Sequence[Field] = ()

    @property
    def distinct_ids(self) -> int:
        """How many ids are new in this file; over the files of one ``make_files`` they add up to all distinct ids."""
        return self.table.num_rows - self.repeats

    @property
    def body(self) -> bytes:
        """The file as Parquet."""
        sink = BytesIO()
        pq.write_table(self.table, sink)
        return sink.getvalue()

    def avro(self, codec: str = "deflate") -> bytes:
        """The file as Braze writes it: Avro, the record named after the event type, optional fields as unions."""
        fields = {field.name: field for field in self.fields or stored_fields(self.event_type)}
        schema = {
            "type": "record",
            "name": f"dataexport.S3.inner.{self.event_type}",
            "fields": [_avro_field(fields[name]) for name in self.table.column_names],
        }
        sink = BytesIO()
        fastavro.writer(sink, fastavro.parse_schema(schema), self.table.to_pylist(), codec=codec)
        return sink.getvalue()


def stored_fields(event_type: str) -> list[Field]:
    """The fields that storage files have for a type, in the catalog's order.

    Raises ValueError for a type that Braze does not document or never writes to storage.
    """
    known = catalog().get(event_type)
    if known is None or not known.stored:
        raise ValueError(f"{event_type!r} is no event type that storage files hold")
    return [field for field in known.fields.values() if field.stored]


def make_rows(
    event_type: str, count: int, *, hour: str, seed: object = 0, fields: Sequence[Field] | None = None
) -> pa.Table:
    """``count`` events of one type, a column per field, in the order and the types of the fields.

    The fields are those that ``stored_fields`` has, or else ``fields``, with which a type may be made up.
    Raises ValueError for an unknown type without fields, and SetupError where ``hour`` is not `YYYY-MM-DD-HH`.
    """
    if fields is None:
        fields = stored_fields(event_type)
    columns = [
        _column(field, count, hour, random.Random(f"{seed}/{event_type}/{hour}/{_source(field)}")) for field in fields
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
    fields: Sequence[Field] | None = None,
) -> Iterator[SampleFile]:
    """``files`` files of ``rows`` rows for every hour and event type, numbered from ``first``.

    A share ``repeat`` of the rows repeats an earlier row of the same type and hour, whichever of these files that
    was in. A late file is one more, made with a higher ``first``. ``fields`` are for types that are made up, as in
    ``make_rows``. Raises ValueError, too, where ``repeat`` leaves a file without a new row.
    """
    repeats = round(rows * repeat)
    if not 0 <= repeats <= max(rows - 1, 0):
        raise ValueError(f"repeat={repeat} of {rows} rows: at least one row of a file must be new")
    types = list(event_types)
    for hour in hours:
        for event_type in types:
            earlier = None
            for number in range(first, first + files):
                rng = random.Random(f"{seed}/{event_type}/{hour}/{number}")
                fresh = make_rows(event_type, rows - repeats, hour=hour, seed=f"{seed}/{number}", fields=fields)
                earlier = fresh if earlier is None else pa.concat_tables([earlier, fresh])
                repeated = earlier.take(pa.array([rng.randrange(len(earlier)) for _ in range(repeats)], pa.int64()))
                table = pa.concat_tables([fresh, repeated]).combine_chunks()
                key = make_key(prefix, event_type, hour, number, old_layout=old_layout)
                yield SampleFile(key, event_type, hour, table, repeats, tuple(fields or ()))


@contextmanager
def on_disk(body: bytes) -> Iterator[Path]:
    """A file of this content, for as long as the block lasts."""
    with NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        yield Path(file.name)


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


def _source(field: Field) -> str:
    """What a field's values come from: both times of a row are the same moment."""
    return "time" if field.name == "time_ms" else field.name


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
        start = int(parse_hour(hour).timestamp())
        seconds = [start + _moment(rng) for _ in range(count)]
        return seconds if field.name == "time" else [each * 1000 + row * 37 % 1000 for row, each in enumerate(seconds)]
    pool = POOLS.get(field.type, {}).get(field.name)
    if pool is None:
        make = _maker(field)
        pool = [make(rng) for _ in range(min(count, 100) or 1)]
    return rng.choices(pool, k=count)


def _moment(rng: random.Random) -> int:
    """Seconds from the hour's start: most events are queued in the hour they happen, a few days later."""
    return rng.randrange(3600) if rng.random() < 0.95 else -rng.randrange(3 * DAY)


def _maker(field: Field) -> Callable[[random.Random], Any]:
    by_type: dict[str, Callable[[random.Random], Any]] = {
        "int": _epoch if field.name.endswith("_at") else lambda rng: rng.randrange(10_000),
        "long": lambda rng: rng.randrange(2**31, 2**53),
        "float": lambda rng: rng.uniform(*RANGES.get(field.name, (-180.0, 180.0))),
        "boolean": lambda rng: rng.random() < 0.5,
        "json": _json_text,
        "array<string>": lambda rng: rng.choices((None, "https://media.example.com/é.png", 'a "quoted" one'), k=2),
    }
    return by_type.get(field.type) or _string_maker(field.name)


def _epoch(rng: random.Random) -> int:
    return rng.randrange(1_600_000_000, 1_700_000_000)


def _string_maker(name: str) -> Callable[[random.Random], str]:
    """How a string of that name is made: by the first of the patterns that its name has, else as free text."""
    by_pattern: dict[str, Callable[[random.Random], str]] = {
        r"_name$": lambda rng: rng.choice(NAMES),
        r"_id$": lambda rng: f"{rng.getrandbits(96):024x}",
        r"_ip$": lambda rng: f"192.0.2.{rng.randrange(256)}",
        r"token": lambda rng: f"{rng.getrandbits(256):064x}",
        r"phone": lambda rng: f"+1555{rng.randrange(10**7):07}",
        r"email|^channel_identifier$": lambda rng: f"person{rng.randrange(10_000)}@example.com",
        r"url": lambda rng: f"https://example.com/{rng.choice(NAMES)}?q={rng.randrange(1000)}&x=1",
    }
    matching = (make for pattern, make in by_pattern.items() if re.search(pattern, name))
    return next(matching, lambda rng: rng.choice(TEXTS))


def _json_text(rng: random.Random) -> str:
    if rng.random() < 0.1:
        return "{}"
    own = {"note": rng.choice(TEXTS), "count": rng.randrange(100), "tags": ["a", None, rng.choice(NAMES)]}
    own["nested"] = {"vip": rng.random() < 0.5, "left": None}
    # A writer may say 1.10; json.dumps only says 1.1.
    return '{"price": 1.10, ' + json.dumps(own, ensure_ascii=rng.random() < 0.5)[1:]
