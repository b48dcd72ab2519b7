"""What the rules for personal data cover: the duty for each column of an event type, and for places inside it.

This is decided here and nowhere else. In doubt, a rule covers more: a row without an event type is covered by every
rule, and a column by its name in the file and its name in the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from currents_core.catalog import RENAMED, SPLIT_INTO, catalog, envelope_name
from currents_core.setup.settings import PersonalDataRule
from currents_core.shaping.pointer import Duty, Place, place_of, steps

# No rule covers what every event needs.
NEEDED = frozenset({"id", "time", "event_type"})
_LONGEST_NAME = 100
# Files name columns as they like, so what is known of names is bounded.
_CACHED_NAMES = 10_000


class Coverage:
    """What ``rules`` cover in rows of ``event_type``, which is None where nothing names the type."""

    def __init__(self, rules: Sequence[PersonalDataRule], event_type: str | None) -> None:
        self.event_type = event_type
        self._rules = [
            (rule, Duty(rule_name(number, rule), rule.action))
            for number, rule in enumerate(rules, 1)
            if event_type is None or rule.event_types.wants(event_type)
        ]
        self.names = tuple(duty.rule for _, duty in self._rules)

    def whole(self, column: str) -> Duty | None:
        """The duty for a value of a column, whatever it is. The first rule that names the column decides."""
        # A pointer to a column covers JSON only, and custom properties are always held to be JSON.
        if self.is_own(column):
            place = self.within(column)
            return place.duty if place else None
        return next((duty for rule, duty in self._rules if self._is_named(column, rule)), None)

    def within(self, column: str) -> Place | None:
        """The places to look at inside a value of a column that is JSON, or None. The first rule for a place decides.

        Pointers begin at the custom properties of the two event types that have them. In any column, they begin with
        its name.
        """
        return None if column in NEEDED else place_of(self._paths(column))

    def _paths(self, column: str) -> Iterator[tuple[tuple[str, ...], Duty]]:
        names, is_own = aliases(self.event_type, column), self.is_own(column)
        for rule, duty in self._rules:
            if self._is_named(column, rule):
                yield (), duty
            for path in map(steps, rule.pointers):
                if is_own:
                    yield path, duty
                if path[0] in names:
                    yield path[1:], duty

    def _is_named(self, column: str, rule: PersonalDataRule) -> bool:
        """Whether a rule covers a column as one of its fields, or by the catalog's mark."""
        if column in NEEDED:
            return False
        names = aliases(self.event_type, column)
        is_marked = rule.catalog and not names.isdisjoint(personal_fields(self.event_type, column))
        return is_marked or not names.isdisjoint(rule.fields)

    def is_own(self, column: str) -> bool:
        """Whether the column has the customer's custom properties."""
        if self.event_type is None:
            return column == "properties" or column in SPLIT_INTO.values()
        own = SPLIT_INTO.get(self.event_type)
        return own is not None and column in ("properties", own)

    def is_documented_as_plain(self, column: str) -> bool:
        """Whether Braze documents the column as text or a number, so that what is in it need not be JSON."""
        known = catalog().get(self.event_type or "")
        found = known.fields.get(column) if known else None
        return found is not None and found.type != "json"


def rule_name(number: int, rule: PersonalDataRule) -> str:
    """What manifests and logs call the rule with this number, such as `rule 1 (redact user_id)`."""
    names = " ".join([*rule.fields, *rule.pointers, *(["catalog"] if rule.catalog else [])])
    cut = names if len(names) <= _LONGEST_NAME else f"{names[:_LONGEST_NAME]}…"
    return f"rule {number} ({rule.action} {cut})"


@lru_cache(_CACHED_NAMES)
def aliases(event_type: str | None, column: str) -> frozenset[str]:
    """All names of a column, in files and in events; without an event type, those that it has in any."""
    types = {*SPLIT_INTO, *RENAMED} if event_type is None else {event_type}
    found = {column}
    for each in types:
        stored = {"properties", *RENAMED.get(each, {})}
        pairs = {(name, envelope_name(each, name)) for name in stored}
        found |= {name for pair in pairs if column in pair for name in pair}
    return frozenset(found)


@cache
def _marked() -> dict[str, frozenset[str]]:
    """The names that the catalog marks as personal data, by event type; under the empty name, those of any type."""
    by_type = {
        name: frozenset(field.name for field in known.fields.values() if field.personal)
        for name, known in catalog().items()
    }
    return {**by_type, "": frozenset().union(*by_type.values())}


def personal_fields(event_type: str | None, column: str) -> frozenset[str]:
    """The names that mark a column of an event type as personal data.

    For a documented field, these are the marks of its own type. For all others, a mark in any type counts.
    """
    known = catalog().get(event_type or "")
    return _marked()[known.name if known and column in known.fields else ""]
