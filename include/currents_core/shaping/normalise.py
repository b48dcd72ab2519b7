"""Normalizes the rows of one event type: every value gets the name and the type that the envelope needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from currents_core.catalog import RENAMED, SPLIT_INTO, catalog
from currents_core.shaping.columns import (
    arrow,
    decoded,
    has_bytes,
    is_bytes,
    is_text,
    not_utf8,
    series,
    text,
    whole_seconds,
    without,
)
from currents_core.shaping.envelope import Events
from currents_core.shaping.json_text import quote

KEPT_AS_STRING = "properties_kept_as_string"

_EVENT_TYPE = "event_type"
# Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
_TYPE_LENGTH = 128
# The beginning of the name that pandas gives to an unnamed index when it writes one.
_PANDAS_INDEX = "__index_level_"


class _AnyObject(msgspec.Struct, gc=False):
    """Any JSON object: it has no fields, so whatever members there are, they are checked and passed over."""


_OBJECT = msgspec.json.Decoder(_AnyObject)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that can't become an event, and why. ``row`` is its row number in the file."""

    row: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class NoType:
    """Why rows have no event type that can be sent."""

    code: str
    reason: str


MISSING = NoType("no_event_type", "event_type is missing, and the file names none either")
NOT_UTF8 = NoType("not_utf8", "event_type contains bytes that are not UTF-8")
TOO_LONG = NoType("event_type_too_long", f"event_type has more than {_TYPE_LENGTH} characters, EventBridge's limit")


@dataclass(frozen=True, slots=True)
class Normalised:
    """The events of a frame, the rows that can't become events, and notes: how often a rule worth knowing applied."""

    events: Events
    rejections: list[Rejection]
    notes: Counter[str]


def by_event_type(frame: pd.DataFrame, file_event_type: str | None) -> Iterator[tuple[str | NoType, pd.DataFrame]]:
    """Splits rows by event type: the value in the column `event_type`, or else ``file_event_type``.

    ``frame`` is a batch as ``Contents`` describes it. Yields each event type with its rows, in the same columns without
    `event_type` and with the same index; for rows without a usable type, the reason in its place.
    """
    if _EVENT_TYPE not in frame.columns:
        yield _usable(file_event_type), frame
        return
    column, bad = _as_text(frame[_EVENT_TYPE])
    named = column.where(column != "", pd.NA)
    types = named.fillna(file_event_type) if file_event_type else named
    rest = frame.drop(columns=_EVENT_TYPE)
    for event_type, rows in rest[~bad].groupby(types[~bad], sort=False):
        yield _usable(str(event_type)), rows
    for reason, chosen in ((MISSING, types.isna() & ~bad), (NOT_UTF8, bad)):
        if chosen.any():
            yield reason, rest[chosen]


def _usable(event_type: str | None) -> str | NoType:
    if not event_type:
        return MISSING
    try:
        # The name of an Avro schema is JSON, in which half of a surrogate pair can be written.
        event_type.encode()
    except UnicodeEncodeError:
        return NOT_UTF8
    return event_type if len(event_type) <= _TYPE_LENGTH else TOO_LONG


def _as_text(column: pd.Series) -> tuple[pd.Series, pd.Series]:
    """A column as text, null for lists and the like, and where it has bytes that are not UTF-8, as NumPy bool."""
    kind = column.dtype.pyarrow_dtype
    if is_bytes(kind):
        return decoded(column)
    is_value = not pa.types.is_nested(kind)
    return (text(column) if is_value else series(pa.nulls(len(column), pa.string()), column)), _nowhere(column)


def _nowhere(rows: pd.Series | pd.DataFrame) -> pd.Series:
    return pd.Series(data=False, index=rows.index)


def normalise(
    frame: pd.DataFrame, event_type: str, folders: Mapping[str, str], *, keep_broken: bool = True
) -> Normalised:
    """Normalizes rows of one event type.

    ``frame`` has one row per row of the file: its index is the row number in the file (int64), and its columns are the
    file's, with dtype ArrowDtype. ``folders`` are the key=value folders of the file's key. Each row is either in the
    events or among the rejections: a row is rejected if it has no usable `id` or `time`, or bytes that are not UTF-8,
    or if its custom properties are not a JSON object, unless ``keep_broken`` keeps these as a string. See ``Events``
    for the columns of the result.

    Source: https://www.braze.com/docs/user_guide/data/distribution/braze_currents/event_glossary
    """
    notes: Counter[str] = Counter()
    frame, unreadable = _with_text(frame)
    frame = _without_partition_columns(frame, event_type, folders)
    for old, new in RENAMED.get(event_type, {}).items():
        frame = _renamed(frame, old, new)
    frame, unusable = _with_id_and_time(frame)
    frame, json_columns = _split(frame, event_type, notes)
    frame, broken = (frame, []) if keep_broken else _without_broken(frame, json_columns)
    rejections = sorted([*unreadable, *unusable, *broken], key=lambda each: each.row)
    return Normalised(Events(event_type, frame, json_columns), rejections, notes)


def _without_partition_columns(frame: pd.DataFrame, event_type: str, folders: Mapping[str, str]) -> pd.DataFrame:
    """The frame without values that only repeat the key's folders, which some engines write into the file as well.

    A column is dropped if every value that is not null repeats the folder; otherwise only the repeats become null. A
    column that Braze documents for the event type is a field, whatever its name: in-app message aborts have a `version`
    of their own.
    """
    if indexes := [name for name in frame.columns if name.startswith(_PANDAS_INDEX)]:
        frame = frame.drop(columns=indexes)
    documented = catalog()[event_type].fields if event_type in catalog() else {}
    for name in [each for each in folders if each in frame.columns and each not in documented]:
        repeats = _as_text(frame[name])[0] == folders[name]
        if repeats.fillna(value=True).all():
            frame = frame.drop(columns=name)
        else:
            gone = repeats.to_numpy(dtype=bool, na_value=False)
            frame = frame.assign(**{name: without(frame[name], gone)})
    return frame


def _renamed(frame: pd.DataFrame, old: str, new: str) -> pd.DataFrame:
    """The frame with the column ``old`` called ``new``. If there is a column ``new`` already, it fills the nulls."""
    if old not in frame.columns:
        return frame
    if new in frame.columns:
        frame = frame.assign(**{old: frame[old].fillna(frame[new])}).drop(columns=new)
    return frame.rename(columns={old: new})


def _with_text(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Rejection]]:
    """The frame with columns of bytes as large_string, without the rows that have bytes that are not UTF-8.

    These rows are rejected. Bytes inside lists, maps and structs are looked at as well, but stay bytes.
    """
    kinds = {name: dtype.pyarrow_dtype for name, dtype in frame.dtypes.items() if has_bytes(dtype.pyarrow_dtype)}
    if not kinds:
        return frame, []
    bad = _nowhere(frame)
    for name, kind in kinds.items():
        if is_bytes(kind):
            texts, undecodable = decoded(frame[name])
            bad |= undecodable
            frame = frame.assign(**{name: texts})
        else:
            bad |= not_utf8(frame[name])
    rejections = [Rejection(row, "not_utf8", "a field contains bytes that are not UTF-8") for row in frame.index[bad]]
    return (frame[~bad] if rejections else frame), rejections


def _with_id_and_time(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Rejection]]:
    """The rows that have an id (now string) and a time (now int64 seconds), and the others rejected."""
    ids, times = _ids(frame), _times(frame)
    bad_id, bad_time = ids.isna(), times.isna()
    frame, bad = frame.assign(id=ids, time=times), bad_id | bad_time
    if not bad.any():
        return frame, []
    rejections = [
        Rejection(row, f"no_{what}", f"{what} is missing or unusable")
        for what, rows in (("id", bad_id), ("time", bad_time & ~bad_id))
        for row in frame.index[rows]
    ]
    return frame[~bad], rejections


def _ids(frame: pd.DataFrame) -> pd.Series:
    """The ids of the rows as string[pyarrow]; null where the id is missing, empty or not text."""
    if "id" not in frame.columns or not is_text(frame["id"].dtype.pyarrow_dtype):
        return pd.Series(pd.NA, index=frame.index, dtype=pd.ArrowDtype(pa.string()))
    ids = arrow(text(frame["id"]))
    return series(pc.if_else(pc.not_equal(ids, ""), ids, None), frame["id"])


def _times(frame: pd.DataFrame) -> pd.Series:
    """The times of the rows as int64[pyarrow], in seconds since the epoch; null where missing or unusable."""
    if "time" in frame.columns:
        return whole_seconds(frame["time"])
    return pd.Series(pd.NA, index=frame.index, dtype=pd.ArrowDtype(pa.int64()))


def _split(frame: pd.DataFrame, event_type: str, notes: Counter[str]) -> tuple[pd.DataFrame, frozenset[str]]:
    """Moves the custom properties to their name in the envelope, and tells which columns now contain JSON texts.

    In a column of text, an object keeps its exact text, and anything else becomes a JSON string. A column of structs or
    maps stays; its values become objects when they are encoded.
    """
    name = SPLIT_INTO.get(event_type)
    if name is None or "properties" not in frame.columns:
        return frame, frozenset()
    frame = _renamed(frame, "properties", name)
    if not is_text(frame[name].dtype.pyarrow_dtype):
        return frame, frozenset()
    own = _own_json(arrow(frame[name]))
    kept = pc.sum(_are_strings(own)).as_py() or 0
    if kept:
        notes[KEPT_AS_STRING] += kept
    return frame.assign(**{name: series(own, frame[name])}), frozenset({name})


def _without_broken(frame: pd.DataFrame, json_columns: frozenset[str]) -> tuple[pd.DataFrame, list[Rejection]]:
    bad = _nowhere(frame)
    for name in json_columns:
        bad |= series(_are_strings(arrow(frame[name])), frame[name]).fillna(value=False).astype(bool)
    rejections = [Rejection(row, "broken_properties", "properties is not a JSON object") for row in frame.index[bad]]
    return frame[~bad], rejections


def _own_json(values: pa.Array) -> pa.Array:
    """The JSON text of each value of `properties`: an object as it is, else a string; null for null and empty text.

    Takes an array of any text type, maybe dictionary-encoded; returns large_string with one item per row, in a
    dictionary if the values are.
    """
    if pa.types.is_dictionary(values.type):
        own = _own_json(values.dictionary)
        # Arrow counts no null of a dictionary, so pandas might overlook it.
        return own.take(values.indices) if own.null_count else pa.DictionaryArray.from_arrays(values.indices, own)
    values = values.cast(pa.large_string())
    values = pc.if_else(pc.equal(values, ""), None, values)
    # As bytes, which take a third of the time to get from Arrow.
    texts = values.cast(pa.large_binary()).to_pylist()
    objects = pa.array([text is not None and _is_object(text) for text in texts], pa.bool_())
    others = pc.and_(pc.invert(objects), values.is_valid())
    if not pc.any(others).as_py():
        return values
    strings = pa.array([quote(text) for text in values.filter(others).to_pylist()], pa.large_string())
    return pc.replace_with_mask(values, others, strings)


def _are_strings(texts: pa.Array) -> pa.Array:
    """Which JSON texts, maybe dictionary-encoded, are strings."""
    if pa.types.is_dictionary(texts.type):
        return _are_strings(texts.dictionary).take(texts.indices)
    return pc.starts_with(texts, '"')


def _is_object(text: bytes) -> bool:
    """Whether a text, in UTF-8, is one valid JSON object. All of it is checked, without building any of it."""
    try:
        _OBJECT.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
