"""The rules for personal data, applied to one row in the most obvious way: what the product is held against."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from currents_core.catalog import Field, catalog
from currents_core.setup.settings import PersonalDataRule
from tests.include.currents_core.shaping.reference import SPLIT, refuse

KEY = b"a secret"
REDACTED = "[REDACTED]"
DROPPED = object()
NEEDED = ("id", "time", "event_type")
BANNERS = [f"users.messages.banner.{action}" for action in ("Abort", "Click", "Dismiss", "Impression")]
VARIATION = ("canvas_step_message_variation_id", "canvas_step_message_variation_api_id")
# The name in files and the name in events, by event type.
RENAMED = {**{name: ("properties", own) for name, own in SPLIT.items()}, **dict.fromkeys(BANNERS, VARIATION)}


class Demand(NamedTuple):
    """What the rule with this number wants done at the end of a path into a value."""

    number: int
    action: str
    path: tuple[str, ...]


def left(
    rules: Sequence[PersonalDataRule], event_type: str | None, row: Mapping[str, Any]
) -> tuple[dict[str, Any], Counter[int]]:
    """What is left of a row of plain Python values, and how many values each rule that applies dropped or replaced.

    ``row`` has the names of the file, and maps as dictionaries.
    """
    applying = {n: rule for n, rule in enumerate(rules, 1) if not event_type or rule.event_types.wants(event_type)}
    hits = Counter(dict.fromkeys(applying, 0))
    fields = {name: of_field(applying, event_type, name, value, hits) for name, value in row.items()}
    return {name: value for name, value in fields.items() if value is not DROPPED}, hits


def of_field(
    rules: Mapping[int, PersonalDataRule], event_type: str | None, name: str, value: Any, hits: Counter[int]
) -> Any:
    if name in NEEDED or value is None:
        return value
    is_own = any(name in ("properties", own) for each, own in SPLIT.items() if event_type in (each, None))
    demands = demands_on(rules, event_type, name, is_json=is_own or looks_like_json(value), is_own=is_own)
    if not demands or any(not demand.path for demand in demands):
        return at(value, demands, hits)
    if not (is_own or looks_like_json(value)):
        return value if is_documented_as_plain(event_type, name) else inside(value, demands, hits)
    held = loaded(value) if isinstance(value, str) else value
    if held is DROPPED or (is_own and not isinstance(held, dict)):
        return redacted(demands, hits)
    new = inside(held, demands, hits)
    return json.dumps(new) if isinstance(value, str) else new


def demands_on(
    rules: Mapping[int, PersonalDataRule], event_type: str | None, name: str, *, is_json: bool, is_own: bool
) -> list[Demand]:
    """What the rules want of a field. The first demand for a place decides; one for the field itself is for JSON."""
    names = {name}.union(*(pair for each, pair in RENAMED.items() if event_type in (each, None) and name in pair))
    demands: dict[tuple[str, ...], Demand] = {}
    for number, rule in rules.items():
        paths: list[tuple[str, ...]] = []
        if names.intersection(rule.fields) or (rule.catalog and is_marked(event_type, name)):
            paths.append(())
        for pointer in rule.pointers:
            path = tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
            paths += [path] if is_own else []
            paths += [path[1:]] if path[0] in names and (path[1:] or is_json) else []
        for path in paths:
            demands.setdefault(path, Demand(number, rule.action, path))
    return list(demands.values())


def looks_like_json(value: Any) -> bool:
    return isinstance(value, dict | list) or (isinstance(value, str) and value.strip().startswith(("{", "[", '"')))


def at(value: Any, demands: list[Demand], hits: Counter[int]) -> Any:
    """What is left of a value. A demand for all of it goes before those that lead further inside."""
    for number, action, path in demands:
        if not path:
            hits[number] += 1
            return {"drop": DROPPED, "redact": REDACTED, "hash": hashed(value)}[action]
    return inside(value, demands, hits) if demands else value


def inside(value: Any, demands: list[Demand], hits: Counter[int]) -> Any:
    """What is left of a value that demands lead into. If it can't be looked into, it may contain anything."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and isinstance(held := loaded(value), dict | list):
        return json.dumps(inside(held, demands, hits))
    if not isinstance(value, dict | list):
        return redacted(demands, hits)
    members = value if isinstance(value, dict) else {str(number): each for number, each in enumerate(value)}
    kept = {}
    for step, each in members.items():
        further = [demand._replace(path=demand.path[1:]) for demand in demands if demand.path[0] == step]
        if (new := at(each, further, hits)) is not DROPPED:
            kept[step] = new
    return kept if isinstance(value, dict) else list(kept.values())


def redacted(demands: list[Demand], hits: Counter[int]) -> str:
    """One value is replaced, and every rule that leads into it wants that."""
    hits.update({each.number for each in demands})
    return REDACTED


def hashed(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


def loaded(text: str) -> Any:
    """The value of a JSON text, or ``DROPPED`` if it is none."""
    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError:
        return DROPPED


def is_marked(event_type: str | None, name: str) -> bool:
    """Whether the glossary marks a name: for the event type, or for any type where the event type lacks the name."""
    known = fields_of(event_type)
    asked = [known] if name in known else [each.fields for each in catalog().values()]
    return any(name in fields and fields[name].personal for fields in asked)


def is_documented_as_plain(event_type: str | None, name: str) -> bool:
    known = fields_of(event_type)
    return name in known and known[name].type != "json"


def fields_of(event_type: str | None) -> Mapping[str, Field]:
    return catalog()[event_type].fields if event_type and event_type in catalog() else {}
