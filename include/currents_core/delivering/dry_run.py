"""The forecast of a dry run: what a delivery would send, and what it would cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from currents_core.books.account import CLAIM_CHECKS, Account, total
from currents_core.entry import Entry, entry_size
from currents_core.setup.settings import Connector
from currents_core.shaping.masked import masked

_SAMPLES = 3
# How many bytes EventBridge bills as one event. Source: https://aws.amazon.com/eventbridge/pricing/
_BILLED_BYTES = 64 * 1024


@dataclass
class Forecast:
    """What a delivery would send.

    ``bytes`` is the size of all entries, as EventBridge counts them. ``billed`` is the number of events on the bill.
    ``dead_letters`` counts rows that can't be sent, by code. ``samples`` are a few envelopes without personal data.
    """

    events: int = 0
    bytes: int = 0
    requests: int = 0
    billed: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    account: Account = field(default_factory=Account)
    samples: list[dict[str, Any]] = field(default_factory=list)

    def count(self, entry: Entry) -> None:
        """Counts an entry that would be sent."""
        size = entry_size(entry.source, entry.detail_type, len(entry.detail.encode()), entry.resource)
        self.events += 1
        self.bytes += size
        self.billed += -(-size // _BILLED_BYTES)
        if len(self.samples) < _SAMPLES:
            self.samples.append(masked(entry))

    def as_json(self) -> dict[str, Any]:
        """The forecast in the form that tasks pass to each other."""
        return {**vars(self), "dead_letters": dict(self.dead_letters), "account": self.account.as_json()}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """The forecast that ``as_json`` gave."""
        counted, account = Counter(raw["dead_letters"]), Account.from_json(raw["account"])
        return cls(**{**raw, "dead_letters": counted, "account": account})

    def report(self, connector: Connector, pace: float) -> dict[str, Any]:
        """The report for people: rows, events, size, requests, time and price. ``pace`` is a fraction of the budget."""
        requests_rate, entries_rate = connector.rates
        seconds = max(
            self.requests / requests_rate if requests_rate else 0.0, self.events / entries_rate if entries_rate else 0.0
        )
        # AWS bills a custom bus in another way, by the kilobyte.
        is_custom = connector.destination.kind == "custom_bus"
        price = None if is_custom else round(self.billed / 1e6 * connector.budget.price_per_million_events, 4)
        return {
            "rows": asdict(self.account.totals),
            "events": self.events,
            "megabytes": round(self.bytes / 1e6, 3),
            "requests": self.requests,
            "minutes_at_the_budget": round(seconds / pace / 60, 2),
            "estimated_price_in_dollars": price,
            "dead_letters": dict(sorted(self.dead_letters.items())),
            "claim_checks": self.account.notes[CLAIM_CHECKS],
            "drift": self.account.as_json()["drift"],
            "personal_data": self.account.as_json()["personal_data"],
            "samples": self.samples,
        }


def total_forecast(forecasts: Iterable[Forecast]) -> Forecast:
    """The sum of several forecasts, with the first few samples."""
    each = list(forecasts)
    return Forecast(
        events=sum(one.events for one in each),
        bytes=sum(one.bytes for one in each),
        requests=sum(one.requests for one in each),
        billed=sum(one.billed for one in each),
        dead_letters=sum((one.dead_letters for one in each), Counter()),
        account=total(one.account for one in each),
        samples=[sample for one in each for sample in one.samples][:_SAMPLES],
    )
