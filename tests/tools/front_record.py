"""What the front has seen: accepted entries, arrivals, and counts."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.tools.front_lines import Lines
from tests.tools.front_rules import Entry, Fault

Result = dict[str, str]


@dataclass
class Record:
    """What the front has seen.

    - accepted: lines of JSON, as they are told
    - arrivals: of each request that puts events, its time by the monotonic clock, its entries, and those accepted
    - rejected: entries that break a rule, or that moto did not take
    - lost: entries that were taken and go nowhere: for a bus that does not exist, or a partner source without one
    - deduplicated: entries that a custom bus has had before; their lines are among the accepted, but not counted there
    - unheard: the first of some accepted lines, counted from 0, and the one after the last, whose sender may have gone
      before it could be answered
    - undelivered: events that a subscriber's queue did not take
    - faults: how often what befell a request, or an entry, by plan
    """

    accepted: Lines = field(default_factory=Lines)
    arrivals: list[list[float]] = field(default_factory=list)
    unheard: list[tuple[int, int]] = field(default_factory=list)
    requests: int = 0
    rejected: int = 0
    lost: int = 0
    deduplicated: int = 0
    undelivered: int = 0
    by_bus: Counter[str] = field(default_factory=Counter)
    by_detail_type: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def arrive(self) -> list[float]:
        """Records that a request came. Its entries, and how many were accepted, are for the caller to set."""
        self.requests += 1
        self.arrivals.append([time.monotonic(), 0, 0])
        return self.arrivals[-1]

    def answer(
        self,
        entries: list[Entry],
        faults: list[Fault | None],
        taken: dict[int, Result],
        *,
        bus_of: Callable[[Entry], str],
        marks: dict[str, bool],
    ) -> list[Result]:
        """Records what became of a request's entries and returns the results, index by index.

        ``taken`` are the results of what a bus took, by index. What is neither refused nor taken goes nowhere: the
        service gives it an id all the same, and loses it. ``marks`` go with the lines of what is accepted.
        """
        results = []
        for index, (entry, fault) in enumerate(zip(entries, faults, strict=True)):
            result = failure(fault) if fault else taken.get(index) or success()
            results.append(result)
            if fault and fault.planned:
                self.faults[fault.planned] += 1
            elif "ErrorCode" in result:
                self.rejected += 1
            elif index in taken:
                self._accept(entry, bus_of(entry), result.get("SuccessCode"), marks)
            else:
                self.lost += 1
        return results

    def _accept(self, entry: Entry, bus: str, success_code: str | None, marks: dict[str, bool]) -> None:
        told = {"success_code": success_code} if success_code else {}
        line = {"number": len(self.accepted) + 1, "bus": bus, "entry": entry, **told, **marks}
        self.accepted.append(orjson.dumps(line) + b"\n")
        if success_code == "DEDUPLICATED":
            self.deduplicated += 1
            return
        self.by_bus[bus] += 1
        self.by_detail_type[entry["DetailType"]] += 1

    def counts(self) -> dict[str, Any]:
        """The record in numbers: of requests, of entries, and of faults by plan."""
        told = {name: value for name, value in vars(self).items() if name not in ("arrivals", "unheard")}
        return {**told, "accepted": len(self.accepted) - self.deduplicated}


def success() -> Result:
    """The result of an entry that is accepted, with an id of its own."""
    return {"EventId": str(uuid.uuid4())}


def failure(fault: Fault) -> Result:
    """The result of an entry that is refused."""
    return {"ErrorCode": fault.code, "ErrorMessage": fault.message}
