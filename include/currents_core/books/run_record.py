"""What a run did for an hour, for whoever wonders afterwards: Airflow's own record of it may be cleaned up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What one run did.

    ``kind`` is Airflow's type of run, or `replay` or `redrive`; ``by`` is who triggered it and ``reason`` why, where
    somebody did; ``at`` is when it ended, in ISO format. ``tries`` counts the entries that it put, and ``throttled``
    those of them that were throttled. ``used`` is the part of the connector's budget that it used while it sent.
    """

    run: str
    kind: str
    at: str
    by: str = ""
    reason: str = ""
    tries: int = 0
    throttled: int = 0
    used: float = 0.0

    def with_sending(self, tasks: Iterable[Mapping[str, float]], rates: tuple[float | None, float | None]) -> RunRecord:
        """The record of a run whose tasks put `requests` and `tries` of entries from `began` to `ended`, in seconds.

        ``rates`` are the requests and the entries per second that the connector may send; None is no limit.
        """
        told = list(tasks)
        if not told:
            return self
        requests, tries, throttled = (sum(each[name] for each in told) for name in ("requests", "tries", "throttled"))
        seconds = max(each["ended"] for each in told) - min(each["began"] for each in told)
        allowed = [(put, rate * seconds) for put, rate in zip((requests, tries), rates, strict=True) if rate]
        used = max((put / most for put, most in allowed if most > 0), default=0.0)
        return replace(self, tries=int(tries), throttled=int(throttled), used=round(used, 4))
