"""Keeps the open files of a delivery: saves how far each has got, renews its lease, and gives it back at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

from currents_core.books.ledger import Ledger
from currents_core.delivering.open_file import OpenFile
from currents_core.errors import CurrentsError, FencedError, TransientError

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
# Saving and settling wait on the network. With this many threads, small files do not wait for each other.
_THREADS = 8


class Keeper:
    """Keeps the open files of one delivery. A context manager: leaving it gives back the files that are still open.

    Every ``beat_seconds`` it saves a checkpoint of each file that has got further, and calls ``on_beat``. ``settle`` is
    called with each file that is through, on a thread of the keeper. ``fail`` is called with the fault that must end
    the delivery. ``clock`` gives the current time as an aware datetime.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        settle: Callable[[OpenFile], None],
        fail: Callable[[CurrentsError], None],
        on_beat: Callable[[], None],
        clock: Callable[[], datetime],
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._settle = settle
        self._fail = fail
        self._on_beat = on_beat
        self._clock = clock
        self._beat_seconds = beat_seconds
        self._open: dict[str, OpenFile] = {}
        self._settling: list[Future[None]] = []
        self._lock = Lock()
        self._ended = Event()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="keep")
        self._beat = Thread(target=self._save_until_ended, name="beat", daemon=True)

    def __enter__(self) -> Self:
        self._beat.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._beat.join()
        # Otherwise a rerun would wait for the leases to run out.
        self._with_each_open(self._give_back)
        self._pool.shutdown()
        for opened in self._open.values():
            opened.close()

    def add(self, opened: OpenFile) -> None:
        """Adds a file that was claimed."""
        with self._lock:
            self._open[opened.arn] = opened

    def __getitem__(self, arn: str) -> OpenFile:
        """The open file with this ARN, which is the resource of its entries."""
        return self._open[arn]

    def settle_soon(self, opened: OpenFile) -> None:
        """Starts to settle a file that is through, and returns at once."""
        self._settling.append(self._pool.submit(self._guarded, self._settle_now, opened))

    def wait(self) -> None:
        """Waits until every file that is through is settled."""
        wait(self._settling)

    def _settle_now(self, opened: OpenFile) -> None:
        with opened.saving:
            self._settle(opened)
            with self._lock:
                del self._open[opened.arn]

    def _save_until_ended(self) -> None:
        while not self._ended.wait(self._beat_seconds):
            self._with_each_open(self._save)
            self._on_beat()

    def _save(self, opened: OpenFile) -> None:
        left = opened.lease.expires_at - self._clock()
        if left < self._ledger.lease / 2 or len(opened.rows) > len(opened.lease.rows):
            self._guarded(self._checkpoint, opened)

    def _checkpoint(self, opened: OpenFile) -> None:
        """Saves how far a file has got. If that fails, the next checkpoint makes up for it while the lease lasts."""
        try:
            self._ledger.checkpoint(opened.lease, opened.progress(), self._clock())
        except FencedError:
            raise
        except TransientError as error:
            if opened.lease.expires_at - self._clock() < self._ledger.lease / 3:
                raise
            log.warning("%s: the checkpoint is late: %s", opened.file.uri, error)

    def _give_back(self, opened: OpenFile) -> None:
        try:
            self._ledger.checkpoint(opened.lease, opened.progress(), self._clock(), release=True)
        except CurrentsError as error:
            log.warning("%s: the last checkpoint failed: %s", opened.file.uri, error)

    def _with_each_open(self, step: Callable[[OpenFile], None]) -> None:
        """Runs a step on every file that is not settled, several at a time, and waits for all of them."""

        def if_open(opened: OpenFile) -> None:
            with opened.saving:
                # The file may have been settled while this waited for the lock.
                if opened.arn in self._open:
                    step(opened)

        with self._lock:
            opened = list(self._open.values())
        wait([self._pool.submit(if_open, each) for each in opened])

    def _guarded(self, step: Callable[[OpenFile], None], opened: OpenFile) -> None:
        """Runs a step on a file. A fault ends the delivery: the thread that sends raises it."""
        try:
            step(opened)
        except CurrentsError as error:
            self._fail(error)
        except Exception as error:
            log.exception("%s: unexpected failure", opened.file.uri)
            self._fail(CurrentsError(f"{error!r}; please report this", uri=opened.file.uri))
