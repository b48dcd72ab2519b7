"""Drops, redacts or hashes personal data before anything is sent, parked or logged."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from currents_core.catalog import catalog
from currents_core.setup.settings import PersonalDataRule
from currents_core.shaping.columns import arrow, is_text, series
from currents_core.shaping.envelope import SPLIT_INTO, Events, envelope_name
from currents_core.shaping.json_text import TEXT, json_text, quote

REDACTED = "[REDACTED]"

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_VALUE = msgspec.json.Decoder(Any)


@dataclass(frozen=True)
class PersonalData:
    """The rules of a connector. ``hash_key`` keys the hashes: without it, nobody can test a guess against a hash."""

    rules: Sequence[PersonalDataRule]
    hash_key: bytes = b""

    def of_events(self, events: Events) -> Events:
        """The events with the rules applied to their fields, and to places inside the custom properties.

        The rows stay the same. A dropped field has no column anymore; a redacted or hashed one is large_string, or a
        dictionary of it, and null stays null. If a pointer applies to the event type, the custom properties become JSON
        texts, as large_string.
        """
        frame, json_columns = events.frame, events.json_columns
        for name, action in self._fields(events.event_type, frame.columns).items():
            if action == "drop":
                frame = frame.drop(columns=name)
            else:
                values = self._protected(arrow(frame[name]), action, is_json=name in json_columns)
                frame = frame.assign(**{name: series(values, frame[name])})
        own = SPLIT_INTO.get(events.event_type)
        pointers = self._pointers(events.event_type)
        if own and pointers and own in frame.columns:
            texts = arrow(frame[own]) if own in json_columns else json_text(arrow(frame[own]), _uncounted())
            protected = pa.array([self._inside(text, pointers) for text in texts.to_pylist()], TEXT)
            frame = frame.assign(**{own: series(protected, frame[own])})
            json_columns |= {own}
        return replace(events, frame=frame, json_columns=json_columns)

    def of_record(self, event_type: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a row as it was read, with the rules applied: what a dead letter may keep of it."""
        published = {name: envelope_name(event_type, name) for name in record}
        actions = self._fields(event_type, list(published.values()))
        pointers = self._pointers(event_type)
        kept = {name: value for name, value in record.items() if actions.get(published[name]) != "drop"}
        for name, value in kept.items():
            if value is not None and published[name] in actions:
                kept[name] = self._replaced(value, actions[published[name]])
            elif value is not None and pointers and published[name] == SPLIT_INTO.get(event_type):
                text = value if isinstance(value, str) else msgspec.json.encode(dict(value)).decode()
                kept[name] = self._inside(text, pointers)
        return kept

    @cached_property
    def _hash(self) -> Callable[[str], str]:
        @cache
        def keyed(text: str) -> str:
            return hmac.new(self.hash_key, text.encode(), hashlib.sha256).hexdigest()

        return keyed

    def _fields(self, event_type: str, names: Any) -> dict[str, str]:
        """The action for each of ``names`` that a rule applies to. The first such rule decides."""
        actions: dict[str, str] = {}
        for rule in self.rules:
            if rule.event_types.wants(event_type):
                chosen = set(rule.fields) | (personal_fields(event_type) if rule.catalog else frozenset())
                actions |= {name: rule.action for name in names if name in chosen and name not in actions}
        return actions

    def _pointers(self, event_type: str) -> dict[tuple[str, ...], str]:
        actions: dict[tuple[str, ...], str] = {}
        for rule in self.rules:
            if rule.event_types.wants(event_type):
                for pointer in rule.pointers:
                    actions.setdefault(steps(pointer), rule.action)
        return actions

    def _protected(self, values: pa.Array, action: str, *, is_json: bool) -> pa.Array:
        if pa.types.is_dictionary(values.type):
            protected = self._protected(values.dictionary, action, is_json=is_json)
            return protected.take(values.indices)
        texts = values if is_text(values.type) else json_text(values, _uncounted())
        replaced = pa.array(
            [None if text is None else self._replaced(text, action) for text in texts.to_pylist()], pa.large_string()
        )
        return pc.if_else(replaced.is_valid(), _quoted(replaced), None) if is_json else replaced

    def _replaced(self, value: Any, action: str) -> str:
        return REDACTED if action == "redact" else self._hash(_text_of(value))

    def _inside(self, text: str | None, pointers: Mapping[tuple[str, ...], str]) -> str | None:
        """The JSON text of custom properties with the places that ``pointers`` name dropped or replaced.

        A text that is not an object has no places to look at, and may contain anything, so it is redacted as a whole.
        """
        if text is None:
            return None
        try:
            _OBJECT.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return quote(REDACTED)
        for pointer, action in pointers.items():
            text = self._at(text, pointer, action) or text
        return text

    def _at(self, text: str, pointer: tuple[str, ...], action: str) -> str | None:
        """The text with one place dropped or replaced, or None if it has no such place. The rest is kept as is."""
        step, *rest = pointer
        members: Any = _members(text)
        name: Any = int(step) if isinstance(members, list) and step.isdecimal() else step
        if not (name in members if isinstance(members, dict) else name in range(len(members))):
            return None
        inner = bytes(members[name]).decode()
        if rest:
            changed = self._at(inner, tuple(rest), action)
            if changed is None:
                return None
            members[name] = msgspec.Raw(changed.encode())
        elif action == "drop":
            del members[name]
        else:
            members[name] = msgspec.Raw(quote(self._replaced(_VALUE.decode(inner), action)).encode())
        return msgspec.json.encode(members).decode()


def _members(text: str) -> dict[str, msgspec.Raw] | list[msgspec.Raw]:
    """The members of an object or an array, each as its exact JSON text; empty if the text is neither."""
    try:
        return _ARRAY.decode(text) if text.lstrip().startswith("[") else _OBJECT.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}


def steps(pointer: str) -> tuple[str, ...]:
    """The steps of a JSON pointer, unescaped.

    Source: https://www.rfc-editor.org/rfc/rfc6901
    """
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


@cache
def personal_fields(event_type: str) -> frozenset[str]:
    """The names of the fields that the catalog marks as personal data in an event type.

    For an undocumented event type, these are the names that are marked in any event type.
    """
    known = catalog().get(event_type)
    types = [known] if known else list(catalog().values())
    return frozenset(field.name for each in types for field in each.fields.values() if field.personal)


def _quoted(values: pa.Array) -> pa.Array:
    return json_text(values, _uncounted())


def _uncounted() -> Counter[str]:
    """Notes to throw away: the same values are counted when they are encoded."""
    return Counter()


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
