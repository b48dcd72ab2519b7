"""What a run did for an hour, for whoever wonders afterwards: Airflow's own record of it may be cleaned up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What one run did.

    ``kind`` is Airflow's type of run, or `replay` or `redrive`; ``by`` is who triggered it and ``reason`` why, where
    somebody did; ``at`` is when it ended, in ISO format. ``tries`` counts the entries that it put, and ``throttled``
    those of them that were throttled. ``used`` is the part of the connector's budget that it used while it sent.
    ``cleared`` is how often the run had been cleared when something of it was counted last.
    """

    run: str
    kind: str
    at: str
    by: str = ""
    reason: str = ""
    tries: int = 0
    throttled: int = 0
    used: float = 0.0
    cleared: int = 0


@dataclass(frozen=True, slots=True)
class RunPass:
    """A run that ends, and maybe not for the first time: people clear runs.

    ``record`` is that of the run without what it sent. ``tasks`` say of each task how many `requests` and `tries` of
    entries it put, and how many were `throttled`, from `began` to `ended`, in seconds since 1970, and how often the run
    had been `cleared`; Airflow goes on telling of those that were not cleared. ``rates`` are the requests and the
    entries per second that the connector may send; None is no limit. ``is_whole`` says that no task failed: one that
    did may have delivered something all the same.
    """

    record: RunRecord
    tasks: Sequence[Mapping[str, float]] = ()
    rates: tuple[float | None, float | None] = (None, None)
    is_whole: bool = True

    def recorded(self, before: RunRecord | None = None) -> RunRecord:
        """The record of the run with what it sent; ``before`` is the one that it has already.

        What its passes sent adds up. One in which no task had anything to do leaves the record as it was.
        """
        if not before:
            return self._with_sending(self.record, self.tasks)
        new = [each for each in self.tasks if each.get("cleared", 0) > before.cleared]
        if not new and self.is_whole:
            return before
        return self._with_sending(replace(before, at=self.record.at, cleared=self.record.cleared), new)

    def _with_sending(self, run: RunRecord, tasks: Sequence[Mapping[str, float]]) -> RunRecord:
        if not tasks:
            return run
        requests, tries, throttled = (sum(each[name] for each in tasks) for name in ("requests", "tries", "throttled"))
        seconds = max(each["ended"] for each in tasks) - min(each["began"] for each in tasks)
        allowed = [(put, rate * seconds) for put, rate in zip((requests, tries), self.rates, strict=True) if rate]
        used = max((put / most for put, most in allowed if most > 0), default=0.0)
        return replace(
            run,
            tries=run.tries + int(tries),
            throttled=run.throttled + int(throttled),
            used=max(run.used, round(used, 4)),
        )
