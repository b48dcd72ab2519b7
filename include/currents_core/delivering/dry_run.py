"""A dry run: all of a delivery but the sending, and what that would come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import Any, Self

import orjson

from currents_core.books.account import Account, total
from currents_core.catalog import catalog
from currents_core.entry import Entry, Span, entry_size
from currents_core.limits import Limits
from currents_core.ports import SENT, Done
from currents_core.setup.settings import Connector
from currents_core.shaping.envelope import SPLIT_INTO
from currents_core.shaping.personal_data import REDACTED

_SAMPLES = 3
# What EventBridge counts as one event on the bill, in bytes. Source: https://aws.amazon.com/eventbridge/pricing/
_BILLED_BYTES = 64 * 1024


@dataclass
class Forecast:
    """What sending would come to. ``billed`` are events as the bill counts them, ``dead_letters`` codes."""

    events: int = 0
    bytes: int = 0
    requests: int = 0
    billed: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    account: Account = field(default_factory=Account)
    samples: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The forecast as it travels between tasks."""
        return {**vars(self), "dead_letters": dict(self.dead_letters), "account": self.account.as_json()}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Reads what ``as_json`` made."""
        counted, account = Counter(raw["dead_letters"]), Account.from_json(raw["account"])
        return cls(**{**raw, "dead_letters": counted, "account": account})

    def report(self, connector: Connector, pace: float) -> dict[str, Any]:
        """What a person wants to know before sending in earnest."""
        rate = connector.requests_per_second * pace
        price = self.billed / 1e6 * connector.budget.price_per_million_events
        return {
            "rows": asdict(self.account.totals),
            "events": self.events,
            "megabytes": round(self.bytes / 1e6, 3),
            "requests": self.requests,
            "minutes_at_the_budget": round(self.requests / rate / 60, 2),
            "estimated_price_in_dollars": round(price, 4),
            "dead_letters": dict(sorted(self.dead_letters.items())),
            "drift": self.account.as_json()["drift"],
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


class DryRunTarget:
    """A destination that accepts everything and only counts it, in ``forecast``."""

    in_flight = 8

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.forecast = Forecast()
        self._lock = Lock()

    def preflight(self) -> None:
        """Nothing is sent, so nothing has to be there."""

    def send(self, chunk: Sequence[Span], done: Done) -> None:
        """Counts the chunk."""
        entries = [entry for span in chunk for entry in span]
        with self._lock:
            self.forecast.requests += 1
            for entry in entries:
                self._count(entry)
        done([SENT] * len(entries))

    def close(self) -> None:
        """Nothing is open."""

    def _count(self, entry: Entry) -> None:
        found = self.forecast
        size = entry_size(entry.source, entry.detail_type, len(entry.detail.encode()), entry.resource)
        found.events += 1
        found.bytes += size
        found.billed += -(-size // _BILLED_BYTES)
        if len(found.samples) < _SAMPLES:
            found.samples.append(masked(entry))


def masked(entry: Entry) -> dict[str, Any]:
    """The envelope of an entry without personal data: what Braze marks as such, and all that the customer added."""
    envelope: dict[str, Any] = orjson.loads(entry.detail)
    documented = catalog().get(entry.detail_type)
    own = SPLIT_INTO.values()
    for place in ("user", "properties"):
        for name in envelope.get(place, {}):
            field_ = documented.fields.get(name) if documented else None
            is_known = field_ is not None and not field_.personal
            if place == "user" or name in own or not is_known:
                envelope[place][name] = REDACTED
    return envelope
