"""Sends entries in chunks, many at a time, and tries again only the entries that failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from include.currents.chunk import chunk
from include.currents.entry import Entry
from include.currents.errors import TransientError
from include.currents.pacer import Pacer
from include.currents.ports import Failed, Invalid, Sent, Target
from include.currents.retry import TRANSIENT_CODES, Backoff

log = logging.getLogger(__name__)

# Requests under way at once: enough to cover the latency of a region, few enough to share an interpreter.
_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that will never be accepted, and after how many attempts that was clear."""

    entry: Entry
    code: str
    reason: str
    attempts: int


class Sender:
    """Sends to one target, held by one pacer. A context manager, since it owns threads."""

    def __init__(
        self, target: Target, pacer: Pacer, backoff: Backoff, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._target = target
        self._pacer = pacer
        self._backoff = backoff
        self._sleep = sleep
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="send")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def send(self, entries: Iterable[Entry]) -> list[Refused]:
        """Sends all entries and returns those that were refused for good; the others were accepted.

        Raises TransientError where some could not be sent within the attempts, SetupError where none ever could.
        """
        chunks = chunk(entries, self._target.limits)
        return [refused for answer in self._pool.map(self._send_chunk, chunks) for refused in answer]

    def _send_chunk(self, entries: Sequence[Entry]) -> list[Refused]:
        refused: list[Refused] = []
        waiting: list[tuple[Entry, Failed]] = []
        for attempt in range(self._backoff.attempts):
            self._pacer.acquire(len(entries))
            waiting = []
            for entry, result in zip(entries, self._target.send(entries), strict=True):
                match result:
                    case Sent():
                        pass
                    case Invalid(code, message):
                        refused.append(Refused(entry, code, message, attempt + 1))
                    case Failed():
                        waiting.append((entry, result))
            if not waiting:
                return refused
            entries = [entry for entry, _ in waiting]
            self._sleep(self._backoff.delay(attempt))
        return refused + self._give_up(waiting)

    def _give_up(self, waiting: Sequence[tuple[Entry, Failed]]) -> list[Refused]:
        """Codes that nobody documents become dead letters; known passing faults are the task's to retry."""
        attempts = self._backoff.attempts
        for entry, failed in waiting:
            if failed.code in TRANSIENT_CODES:
                raise TransientError(
                    f"{len(waiting)} entries were still refused after {attempts} attempts, first row {entry.row} of "
                    f"{entry.resource}: {failed.code} {failed.message}; clear the task to resume"
                )
        return [Refused(entry, failed.code, failed.message, attempts) for entry, failed in waiting]
