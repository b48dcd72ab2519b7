"""The account of rows: how many were read, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# The note of accepted rows that the destination said it had already, and handed to nobody again.
DEDUPLICATED = "deduplicated by the bus"
# The note of rows that are too large for an event, and went as claim checks.
CLAIM_CHECKS = "sent as claim checks"


@dataclass(slots=True)
class Counts:
    """Counts of rows: those read, and what became of them. They balance if the other four add up to ``read``."""

    read: int = 0
    sent: int = 0
    duplicate: int = 0
    filtered: int = 0
    dead_lettered: int = 0

    def __add__(self, other: Counts) -> Counts:
        # Written out, as a month has a hundred thousand of them to add.
        return Counts(
            self.read + other.read,
            self.sent + other.sent,
            self.duplicate + other.duplicate,
            self.filtered + other.filtered,
            self.dead_lettered + other.dead_lettered,
        )

    def __str__(self) -> str:
        return (
            f"read {self.read} = sent {self.sent} + duplicate {self.duplicate} + filtered {self.filtered} "
            f"+ dead-lettered {self.dead_lettered}"
        )

    @property
    def balanced(self) -> bool:
        """Whether read = sent + duplicate + filtered + dead_lettered, and none of them is below zero."""
        parts = (self.sent, self.duplicate, self.filtered, self.dead_lettered)
        return self.read == sum(parts) and min(parts) >= 0


@dataclass(slots=True)
class Account:
    """The account of one file or several.

    ``event_types`` has the counts per event type. ``notes`` counts how often something worth knowing happened that lost
    no row. ``drift`` has, per event type, how the files differ from what Braze documents. ``personal_data`` counts the
    values that each rule dropped or replaced; 0 where a rule applied to an event type and found nothing.
    """

    event_types: dict[str, Counts] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    drift: dict[str, set[str]] = field(default_factory=dict)
    personal_data: Counter[str] = field(default_factory=Counter)

    def of(self, event_type: str) -> Counts:
        """The counts of one event type, for the caller to add to."""
        return self.event_types.setdefault(event_type, Counts())

    def add(self, other: Account) -> None:
        """Adds another account to this one."""
        for event_type, counts in other.event_types.items():
            self.event_types[event_type] = self.of(event_type) + counts
        self.notes.update(other.notes)
        self.personal_data.update(other.personal_data)
        for event_type, lines in other.drift.items():
            self.differs(event_type, lines)

    def differs(self, event_type: str, found: Iterable[str]) -> None:
        """Adds lines about how rows of an event type differ from what is documented."""
        differences = set(found)
        if differences:
            self.drift.setdefault(event_type, set()).update(differences)

    @property
    def idle_rules(self) -> list[str]:
        """The rules for personal data that applied to an event type, but found nothing to drop or replace."""
        return sorted(rule for rule, hits in self.personal_data.items() if not hits)

    @property
    def totals(self) -> Counts:
        """The counts of all event types together."""
        return sum(self.event_types.values(), Counts())

    def as_json(self) -> dict[str, object]:
        """The account as manifests and the ledger store it, with its totals."""
        return {
            "totals": asdict(self.totals),
            "event_types": {name: asdict(counts) for name, counts in sorted(self.event_types.items())},
            "notes": dict(sorted(self.notes.items())),
            "drift": {name: sorted(lines) for name, lines in sorted(self.drift.items())},
            "personal_data": dict(sorted(self.personal_data.items())),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Account:
        """The account that ``as_json`` gave."""
        return cls(
            {name: Counts(**each) for name, each in raw["event_types"].items()},
            Counter(raw["notes"]),
            {name: set(lines) for name, lines in raw["drift"].items()},
            # Books of earlier versions lack it.
            Counter(raw.get("personal_data", {})),
        )


def total(accounts: Iterable[Account]) -> Account:
    """The sum of several accounts."""
    result = Account()
    for account in accounts:
        result.add(account)
    return result
