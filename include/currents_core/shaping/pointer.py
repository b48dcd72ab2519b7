"""JSON pointers: finds places in JSON texts, and drops or replaces what is there. All other text stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from currents_core.shaping.json_text import quote

# What may be wrong with a text that was to be looked into. Such a text may contain anything.
UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
# White space between the parts of a JSON text. Source: https://www.rfc-editor.org/rfc/rfc8259#section-2
JSON_SPACE = " \t\r\n"
# JSON texts of values that hold nothing a pointer could lead to. Numbers and strings may hold personal data.
CONSTANTS = ("null", "true", "false")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Duty:
    """What a rule demands of a value: ``action`` is drop, redact or hash. ``rule`` names the rule to people."""

    rule: str
    action: str


@dataclass(slots=True)
class Place:
    """A place in a JSON value: the duty for the value there, if any, and the places further inside, by step."""

    duty: Duty | None = None
    inner: dict[str, Place] = field(default_factory=dict)

    def rules(self) -> set[str]:
        """The rules for the places inside it."""
        found, places = set(), [*self.inner.values()]
        while places:
            place = places.pop()
            if place.duty:
                found.add(place.duty.rule)
            places += place.inner.values()
        return found


# Gives the JSON text that replaces another one under a duty, or None to drop it.
Replace = Callable[[Duty, str], str | None]


def steps(pointer: str) -> tuple[str, ...]:
    """The steps of a JSON pointer, unescaped.

    Source: https://www.rfc-editor.org/rfc/rfc6901
    """
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def place_of(paths: Iterable[tuple[tuple[str, ...], Duty]]) -> Place | None:
    """All paths as one place, or None if there are none. Of the duties for one path, the first stays."""
    root, has_any = Place(), False
    for path, duty in paths:
        place, has_any = root, True
        for step in path:
            place = place.inner.setdefault(step, Place())
        place.duty = place.duty or duty
    return root if has_any else None


def inside(text: str, place: Place, replace: Replace) -> str:
    """The JSON text with the places inside ``place`` dropped or replaced.

    ``text`` is an object or an array, or a string that contains one. Where a place has a value that can't be looked
    into, such as a number, the whole value is replaced. Of members with the same name, only the last is kept, as any
    reader does. Raises one of ``UNREADABLE`` if the text is not valid JSON as far as it is looked into.
    """
    bare = text.strip(JSON_SPACE)
    if bare in CONSTANTS:
        return text
    if bare.startswith('"'):
        return _inside_string(bare, place, replace)
    if not bare.startswith(("{", "[")):
        return redacted(place, replace, bare)
    members: Any = (_ARRAY if bare.startswith("[") else _OBJECT).decode(bare)
    found = {name: each for step, each in place.inner.items() if (name := _found(members, step)) is not None}
    if not found:
        return text
    # Indexes hold for the array as it was, so items are dropped from its end.
    for name, each in sorted(found.items(), reverse=True):
        old = bytes(members[name]).decode()
        new = replace(each.duty, old) if each.duty else inside(old, each, replace)
        if new is None:
            del members[name]
        else:
            members[name] = msgspec.Raw(new.encode())
    return msgspec.json.encode(members).decode()


def _found(members: dict[str, msgspec.Raw] | list[msgspec.Raw], step: str) -> str | int | None:
    if isinstance(members, dict):
        return step if step in members else None
    return int(step) if _INDEX.fullmatch(step) and int(step) < len(members) else None


def _inside_string(text: str, place: Place, replace: Replace) -> str:
    """Looks into a JSON text that is itself inside a JSON string, as some writers nest them."""
    held = _STRING.decode(text).strip()
    if held.startswith(("{", "[")):
        try:
            return quote(inside(held, place, replace))
        except UNREADABLE:
            pass
    return redacted(place, replace, text)


def redacted(place: Place, replace: Replace, text: str) -> str:
    """What stands for a value that can't be looked into. It is replaced for each rule with a place inside it."""
    new = None
    for rule in place.rules():
        new = replace(Duty(rule, "redact"), text)
    return new or "null"
