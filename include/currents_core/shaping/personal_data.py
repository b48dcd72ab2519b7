"""Drops, redacts or hashes personal data before anything is sent, parked or logged."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from currents_core.setup.settings import PersonalDataRule
from currents_core.shaping.columns import arrow, is_text, series
from currents_core.shaping.coverage import Coverage
from currents_core.shaping.envelope import Events
from currents_core.shaping.json_text import TEXT, json_text, quote
from currents_core.shaping.pointer import CONSTANTS, JSON_SPACE, UNREADABLE, Duty, Place, inside, redacted

REDACTED = "[REDACTED]"

# Files name event types as they like, and values may be as long as a file, so caches are bounded both ways.
_CACHED_TYPES = 256
_CACHED_HASHES = 65_536
_LONGEST_CACHED = 200
_VALUE = msgspec.json.Decoder(Any)


@dataclass(frozen=True)
class PersonalData:
    """The rules of a connector. ``hash_key`` keys the hashes: without it, nobody can test a guess against a hash.

    Each method counts in ``hits``, by rule, the values that were dropped or replaced.
    """

    rules: Sequence[PersonalDataRule]
    hash_key: bytes = b""

    def of_events(self, events: Events, hits: Counter[str] | None = None) -> Events:
        """The events with the rules applied to their fields, and to places inside them.

        The rows stay the same. A dropped field has no column anymore; a redacted or hashed one is large_string, or a
        dictionary of it, and null stays null. A column in which places were found is large_string; one of structs, maps
        or lists becomes JSON texts. ``hits`` has each rule that applies to the event type, also where it found nothing.
        """
        cover = self._coverage(events.event_type)
        if not (cover.names and len(events.frame)):
            return events
        hits = Counter() if hits is None else hits
        hits.update(dict.fromkeys(cover.names, 0))
        dropped, changed, json_columns = [], {}, set(events.json_columns)
        for name in events.frame.columns:
            column = events.frame[name]
            is_json = name in events.json_columns
            place = cover.within(name)
            if place and (duty := place.duty) and duty == cover.whole(name):
                hits[duty.rule] += int(column.notna().sum())
                if duty.action == "drop":
                    dropped.append(name)
                else:
                    changed[name] = series(self._protected(arrow(column), duty, is_json=is_json), column)
            elif place:
                look = _Look(self, cover, name, place, hits, is_json=is_json or not is_text(column.dtype.pyarrow_dtype))
                if (new := look.into(column)) is not None:
                    changed[name] = new
                    json_columns |= {name} if look.is_json else set()
        frame = events.frame.assign(**changed).drop(columns=dropped)
        return replace(events, frame=frame, json_columns=frozenset(json_columns))

    def of_record(
        self, event_type: str | None, record: Mapping[str, Any], hits: Counter[str] | None = None
    ) -> dict[str, Any]:
        """The fields of a row as it was read, with the rules applied: what a dead letter may keep of it.

        ``event_type`` is None where nothing names the type; then every rule applies.
        """
        cover = self._coverage(event_type)
        hits = Counter() if hits is None else hits
        hits.update(dict.fromkeys(cover.names, 0))
        kept = dict(record)
        for name, value in record.items():
            if value is None:
                continue
            place = cover.within(name)
            if place and (duty := place.duty) and duty == cover.whole(name):
                hits[duty.rule] += 1
                if duty.action == "drop":
                    del kept[name]
                else:
                    kept[name] = self.replaced(_text_of(value), duty)
            elif place:
                look = _Look(self, cover, name, place, hits, is_json=not isinstance(value, str | bytes))
                text = _json_of(value) if look.is_json else _text_of(value)
                if (new := look.into_text(text)) != text:
                    kept[name] = _unquoted(new) if new and look.is_json else new
        return kept

    def replaced(self, text: str, duty: Duty) -> str:
        """What stands for a value under a duty that does not drop it. ``text`` is the value as text."""
        if duty.action != "hash":
            return REDACTED
        return self._cached_hash(text) if len(text) <= _LONGEST_CACHED else self._hash(text)

    def _hash(self, text: str) -> str:
        return hmac.new(self.hash_key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    @cached_property
    def _cached_hash(self) -> Any:
        return lru_cache(_CACHED_HASHES)(self._hash)

    @cached_property
    def _coverage(self) -> Any:
        return lru_cache(_CACHED_TYPES)(partial(Coverage, tuple(self.rules)))

    def _protected(self, values: pa.Array, duty: Duty, *, is_json: bool) -> pa.Array:
        if pa.types.is_dictionary(values.type):
            return self._protected(values.dictionary, duty, is_json=is_json).take(values.indices)
        texts = _texts(values).to_pylist()
        if is_json or not is_text(values.type):
            texts = [None if text is None else _unquoted(text) for text in texts]
        replaced = pa.array([None if text is None else self.replaced(text, duty) for text in texts], TEXT)
        return pc.if_else(replaced.is_valid(), json_text(replaced, _uncounted()), None) if is_json else replaced


@dataclass
class _Look:
    """A look into the values of one column. ``is_json`` says whether they are JSON texts or plain texts."""

    rules: PersonalData
    cover: Coverage
    column: str
    place: Place
    hits: Counter[str]
    is_json: bool

    def into(self, column: pd.Series) -> pd.Series | None:
        """The column as large_string, with the places in its values dropped or replaced; None if none was found."""
        texts = _texts(arrow(column)).to_pylist()
        found = [None if text is None else self.into_text(text) for text in texts]
        return None if found == texts else series(pa.array(found, TEXT), column)

    def into_text(self, text: str) -> str | None:
        """One value of the column. What can't be looked into may contain anything, so it is redacted as a whole."""
        is_own = self.cover.is_own(self.column)
        if not is_own and not self._looks_like_json(text):
            return self._into_plain(text)
        if self.place.duty:
            return self._whole(text, self.place.duty)
        try:
            if not is_own or _begins(text, "{"):
                return inside(text, self.place, self._replace)
        except UNREADABLE:
            pass
        return self._redacted(text)

    def _into_plain(self, text: str) -> str | None:
        """A value that is plain text, a number or the like. A pointer to the column does not cover it."""
        if duty := self.cover.whole(self.column):
            return self._whole(text, duty)
        has_nothing_inside = not self.place.inner or (self.is_json and text in CONSTANTS)
        if has_nothing_inside or self.cover.is_documented_as_plain(self.column):
            return text
        return self._redacted(text)

    def _looks_like_json(self, text: str) -> bool:
        # A string in a text is JSON; one that is a value of the column, such as a date, is plain text.
        return _begins(text, ("{", "[") if self.is_json else ("{", "[", '"'))

    def _whole(self, text: str, duty: Duty) -> str | None:
        self.hits[duty.rule] += 1
        if duty.action == "drop":
            return None
        return self._told(self.rules.replaced(_unquoted(text) if self.is_json else text, duty))

    def _redacted(self, text: str) -> str:
        new = redacted(self.place, self._replace, text)
        return new if self.is_json else REDACTED

    def _told(self, text: str) -> str:
        return quote(text) if self.is_json else text

    def _replace(self, duty: Duty, found: str) -> str | None:
        self.hits[duty.rule] += 1
        return None if duty.action == "drop" else quote(self.rules.replaced(_text_in(found), duty))


def _begins(text: str, with_: str | tuple[str, ...]) -> bool:
    return text.lstrip(JSON_SPACE).startswith(with_)


def _texts(values: pa.Array) -> pa.Array:
    """Texts as they are, and the JSON texts of all other values: large_string."""
    return values.cast(TEXT) if is_text(values.type) else json_text(values, _uncounted())


def _unquoted(text: str) -> str:
    """The text of a value that is a JSON text: a string's own text, and any other as it is."""
    return _text_in(text) if text.startswith('"') else text


def _text_in(found: str) -> str:
    """What is hashed of a value inside JSON: a string's own text, and the compact JSON text of anything else."""
    try:
        return _text_of(_VALUE.decode(found))
    except UNREADABLE:
        return found


def _uncounted() -> Counter[str]:
    """Notes to throw away: the same values are counted when they are encoded."""
    return Counter()


def _text_of(value: Any) -> str:
    simple = _simple(value)
    return simple if isinstance(simple, str) else _json_of(simple)


def _json_of(value: Any) -> str:
    return json.dumps(_simple(value), ensure_ascii=False, separators=(",", ":"))


def _simple(value: Any) -> Any:
    """A value of a row as what JSON can express. Arrow gives a map as a list of pairs."""
    if isinstance(value, Mapping):
        return {str(name): _simple(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        if value and all(isinstance(each, tuple) for each in value):
            return {_text_of(name): _simple(each) for name, each in value}
        return [_simple(each) for each in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
