"""Claims files in order, and downloads them ahead of their turn."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from tempfile import NamedTemporaryFile
from typing import IO

from currents_core.books.ledger import Done, Held, Lease, Ledger
from currents_core.counted import counted
from currents_core.delivering.open_file import OpenFile
from currents_core.errors import FileError, TransientError
from currents_core.file_key import SourceFile
from currents_core.ports import ObjectStore

log = logging.getLogger(__name__)

# How many files are fetched before their turn, which hides the latency of S3 for small ones.
_AHEAD = 8
# How long another task may hold a file, renewing its lease, before this task gives up waiting.
_PATIENCE = timedelta(minutes=15)


@dataclass
class Fetcher:
    """Claims and downloads files for one delivery, on threads of its own.

    ``opened`` is called with every file as soon as it is claimed. ``meanwhile`` is called again and again while the
    caller waits for a file, with the seconds that it may take. ``check`` raises an error if the work is to end.
    ``clock`` gives the current time as an aware datetime; ``sleep`` takes seconds.
    """

    source: ObjectStore
    ledger: Ledger
    owner: str
    opened: Callable[[OpenFile], None]
    meanwhile: Callable[[float], None]
    check: Callable[[], None]
    clock: Callable[[], datetime]
    sleep: Callable[[float], None] = time.sleep
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_AHEAD, thread_name_prefix="fetch"))

    def fetch(self, files: Iterable[SourceFile]) -> Generator[tuple[SourceFile, OpenFile | None, IO[bytes] | None]]:
        """Yields each file with its open state and its content, a temporary file that the caller closes.

        Both are None if another task delivered the file. Only the content is None if the file can no longer be
        downloaded; the state then has the fault. Raises TransientError if another task holds a file for too long.
        """
        waiting: deque[tuple[SourceFile, Future[tuple[OpenFile | None, IO[bytes] | None]]]] = deque()
        rest = iter(files)
        try:
            while True:
                for file in islice(rest, _AHEAD - len(waiting)):
                    waiting.append((file, self._pool.submit(self._fetch, file)))
                if not waiting:
                    return
                file, fetched = waiting.popleft()
                while not fetched.done():
                    self.meanwhile(0.02)
                yield (file, *fetched.result())
        finally:
            self._pool.shutdown(cancel_futures=True)
            for _, left in waiting:
                _close(left)

    def _fetch(self, file: SourceFile) -> tuple[OpenFile | None, IO[bytes] | None]:
        lease = self._claim(file)
        if lease is None:
            return None, None
        state = OpenFile(lease, file.arn(self.source.partition))
        self.opened(state)
        body = NamedTemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            self.source.download(file.key, file.etag, body)
        except FileError as error:
            body.close()
            state.fault = error
            return state, None
        body.flush()
        return state, body

    def _claim(self, file: SourceFile) -> Lease | None:
        """The lease of a file, after waiting if another task holds it; None if that task delivered it."""
        began, told = self.clock(), False
        while True:
            self.check()
            claim = self.ledger.claim(file, self.owner, self.clock())
            if isinstance(claim, Lease):
                if claim.resumed:
                    done = counted(len(claim.rows), "row")
                    log.info("%s: resumes where it left off, skipping %s already done", file.uri, done)
                return claim
            if isinstance(claim, Done):
                log.info("%s: another task delivered it in the meantime", file.uri)
                return None
            self._wait(file, claim, began, told=told)
            told = True

    def _wait(self, file: SourceFile, held: Held, began: datetime, *, told: bool) -> None:
        if not told:
            log.info("%s: %s holds it until %s; waiting", file.uri, held.owner, held.until)
        if self.clock() - began > _PATIENCE:
            raise TransientError(
                f"{held.owner} has held it for {_PATIENCE.seconds // 60} minutes and keeps renewing its lease; check "
                "whether that task is stuck, then clear this one to resume",
                uri=file.uri,
            )
        self.sleep(1.0)


def _close(found: Future[tuple[OpenFile | None, IO[bytes] | None]]) -> None:
    if not found.cancelled() and not found.exception() and (body := found.result()[1]):
        body.close()
