"""How two schemas of one event type differ, in lines that a person can read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from currents_core.errors import shown
from currents_core.shaping.event_schema import VERSION

_REFERENCE = "#/definitions/"
# What is followed to the fields, and so is no word about the field itself.
_STRUCTURE = frozenset({"$ref", "properties", "items", "required", "definitions", VERSION})
_LENGTH = 200
_REQUIRED = "required"

Words = dict[str, Any]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """One line for each field that ``new`` adds to ``old``, removes or changes, in the order of their paths.

    `+ detail.properties.foo: string` was added, `- …` removed, and in `~ detail.time: type integer → number` something
    changed. Both are JSON Schemas; they may hold anything, as others may have written them. There are no lines where
    they say the same of each field, under whatever names of definitions, or differ in their version alone.
    """
    before, after = dict(_fields(old)), dict(_fields(new))
    for path in sorted(before.keys() | after.keys()):
        name = path or "event"
        if path not in before:
            yield shown(f"+ {name}: {_kind(after[path])}", _LENGTH)
        elif path not in after:
            yield shown(f"- {name}: {_kind(before[path])}", _LENGTH)
        elif before[path] != after[path]:
            yield shown(f"~ {name}: {_changes(before[path], after[path])}", _LENGTH)


def _fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, Words]]:
    """Each field of a schema by its path: what the schema says of it, and whether it is required."""
    left: list[tuple[str, Any, bool, frozenset[str]]] = [("", schema, False, frozenset())]
    while left:
        path, node, is_required, followed = left.pop()
        node, followed = _resolved(schema, node, followed)
        if not isinstance(node, Mapping):
            yield path, {"schema": node}
            continue
        words = {name: value for name, value in node.items() if name not in _STRUCTURE}
        yield path, {**words, _REQUIRED: True} if is_required else words
        required = node.get("required")
        members = node.get("properties")
        for name, each in members.items() if isinstance(members, Mapping) else ():
            named = isinstance(required, list) and name in required
            left.append((f"{path}.{name}" if path else name, each, named, followed))
        if "items" in node:
            left.append((f"{path}[]", node["items"], False, followed))


def _resolved(schema: Mapping[str, Any], node: Any, followed: frozenset[str]) -> tuple[Any, frozenset[str]]:
    """What a node refers to in the end, and the references followed so far. One that leads back stays unresolved."""
    while isinstance(node, Mapping) and isinstance(reference := node.get("$ref"), str):
        definitions = schema.get("definitions")
        name = reference.removeprefix(_REFERENCE)
        if reference in followed or not isinstance(definitions, Mapping) or name not in definitions:
            return {"refers to": reference}, followed
        node, followed = definitions[name], followed | {reference}
    return node, followed


def _kind(words: Words) -> str:
    kinds = words.get("type", "anything")
    return " or ".join(map(str, kinds)) if isinstance(kinds, list) else str(kinds)


def _changes(before: Words, after: Words) -> str:
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return ", ".join(f"{name} {_value(before, name)} → {_value(after, name)}" for name in names)


def _value(words: Words, name: str) -> str:
    if name == "type":
        return _kind(words)
    return json.dumps(words[name], ensure_ascii=False, sort_keys=True) if name in words else "none"
