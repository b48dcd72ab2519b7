"""Whether a connector's patterns and conditions fit what Braze documents: what can't be meant is told at load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from currents_core.catalog import EventType, catalog, envelope_name
from currents_core.setup.faults import Fault, Loc, did_you_mean
from currents_core.setup.patterns import correction, matches_any
from currents_core.setup.settings import Condition, Connector, EventTypes

_TEXT, _NUMBER, _BOOLEAN, _LIST = "text", "a number", "true or false", "a list"
_KINDS = {
    "string": _TEXT,
    "json": _TEXT,
    "int": _NUMBER,
    "long": _NUMBER,
    "float": _NUMBER,
    "boolean": _BOOLEAN,
    "array<string>": _LIST,
}
_HINTS = {_TEXT: "; put it in quotes", _NUMBER: "; write it without quotes"}


def misfits(connector: Connector) -> Iterator[Fault]:
    """What a connector asks for and Braze's glossary rules out.

    Event types that the glossary does not list are possible, so only names close to a listed one are faults.
    """
    for loc, patterns in _event_types(connector):
        yield from _misspelled(loc, patterns)
    for number, condition in enumerate(connector.filter):
        if not condition.undocumented:
            exported = [each for each in catalog().values() if connector.event_types.wants(each.name)]
            yield from _of_condition(("filter", number), condition, exported)


def unknown_patterns(connector: Connector) -> list[str]:
    """The patterns that match no documented event type. Braze may write some that it does not document."""
    patterns = [each for _, types in _event_types(connector) for each in (*types.include, *types.exclude)]
    return [each for each in dict.fromkeys(patterns) if not _is_known(each)]


def _is_known(pattern: str) -> bool:
    # Most connectors take everything: whoever parses their DAGs need not read the catalog for that.
    return pattern == "*" or any(matches_any(name, [pattern]) for name in catalog())


def _event_types(connector: Connector) -> Iterator[tuple[Loc, EventTypes]]:
    yield ("event_types",), connector.event_types
    for number, rule in enumerate(connector.personal_data.rules):
        yield ("personal_data", "rules", number, "event_types"), rule.event_types


def _misspelled(loc: Loc, patterns: EventTypes) -> Iterator[Fault]:
    for side, listed in (("include", patterns.include), ("exclude", patterns.exclude)):
        for number, pattern in enumerate(listed):
            near = None if _is_known(pattern) else correction(pattern, catalog())
            if near:
                yield Fault((*loc, side, number), f"matches no documented event type; did you mean `{near}`?")


def _of_condition(loc: Loc, condition: Condition, exported: Sequence[EventType]) -> Iterator[Fault]:
    kinds = _kinds(condition.field, exported)
    if not kinds:
        yield Fault((*loc, "field"), _unknown(condition.field, exported))
        return
    for key, values in (("in", condition.in_), ("not_in", condition.not_in)):
        for number, value in enumerate(values or ()):
            if _kind(value) not in kinds:
                yield Fault((*loc, key, number), _unfit(condition.field, kinds))
    for key, bound in (("at_least", condition.at_least), ("at_most", condition.at_most)):
        if bound is not None and _NUMBER not in kinds:
            yield Fault((*loc, key), f"`{condition.field}` is {_of(kinds)}, which has no bounds; use `in` or `not_in`")


def _kinds(field: str, exported: Sequence[EventType]) -> set[str]:
    """The kinds of a field in events of these types."""
    columns = [(each.name, column) for each in exported for column in each.fields.values()]
    return {_KINDS[column.type] for event_type, column in columns if envelope_name(event_type, column.name) == field}


def _unknown(field: str, exported: Sequence[EventType]) -> str:
    if field == "event_type":
        return "events are chosen by type with the connector's `event_types`; use that"
    named = {envelope_name(each.name, field) for each in exported if field in each.fields}
    if named:
        return f"no event has this field, only files do; did you mean `{'` or `'.join(sorted(named))}`?"
    known = {name for each in catalog().values() for name in each.fields}
    if field in known:
        return "no event type that the connector exports has this field; correct `event_types`, or remove the condition"
    remedy = "correct it, or add `undocumented: true` to the condition if it is a column of your own files"
    return f"Braze documents no such field; {remedy}{did_you_mean(field, sorted(known))}"


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return _BOOLEAN
    return _TEXT if isinstance(value, str) else _NUMBER


def _unfit(field: str, kinds: set[str]) -> str:
    if kinds == {_LIST}:
        return f"`{field}` is a list, which can be compared with nothing; use `is_null`"
    hint = _HINTS.get(_of(kinds), "")
    return f"`{field}` is {_of(kinds)}, so no row has this value{hint}"


def _of(kinds: set[str]) -> str:
    return " or ".join(sorted(kinds))
