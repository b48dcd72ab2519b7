"""What a run did for an hour, for whoever wonders afterwards: Airflow's own record of it may be cleaned up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime


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


@dataclass(frozen=True, slots=True)
class RunPass:
    """A run that ends, and maybe not for the first time: people clear runs.

    ``record`` is that of the run without what it sent. ``tasks`` say of each task how many `requests` and `tries` of
    entries it put, and how many were `throttled`, from `began` to `ended`, in seconds since 1970. ``rates`` are the
    requests and the entries per second that the connector may send; None is no limit.
    """

    record: RunRecord
    tasks: Sequence[Mapping[str, float]] = ()
    rates: tuple[float | None, float | None] = (None, None)

    def recorded(self, records: Iterable[RunRecord] = ()) -> RunRecord:
        """The record of the run with what it sent, where ``records`` are those of before, maybe with its own.

        What its passes sent adds up. One in which no task had anything to do leaves the record as it was.
        """
        before = next((each for each in records if each.run == self.record.run), None)
        if not before:
            return self._with_sending(self.record, self.tasks)
        # Records tell whole seconds. Whoever clears a run needs more than one of them.
        since = datetime.fromisoformat(before.at).timestamp() + 1
        new = [each for each in self.tasks if each["began"] >= since]
        return self._with_sending(replace(before, at=self.record.at), new) if new else before

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
