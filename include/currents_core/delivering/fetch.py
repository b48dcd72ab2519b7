"""Claims files in order, and downloads them ahead of their turn."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from shutil import disk_usage
from tempfile import NamedTemporaryFile, gettempdir
from typing import IO

from currents_core.books.ledger import Done, Held, Lease, Ledger
from currents_core.counted import counted
from currents_core.delivering.open_file import OpenFile
from currents_core.errors import FileError, TransientError, is_of_the_machine, lack_of_machine
from currents_core.file_key import SourceFile
from currents_core.ports import ObjectStore

log = logging.getLogger(__name__)

# How many files are fetched before their turn, and how many bytes, which hides the latency of S3 for small ones.
_AHEAD = 8
_AHEAD_BYTES = 256 << 20
# What is left free on the disk, in bytes, for other tasks of the machine.
_RESERVE = 256 << 20
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
        rest = deque(files)
        try:
            while rest or waiting:
                while rest and _may_fetch(rest[0], [file for file, _ in waiting]):
                    file = rest.popleft()
                    waiting.append((file, self._pool.submit(self._fetch, file)))
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
        _require_room(file)
        body = NamedTemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            self.source.download(file.key, file.etag, body)
            body.flush()
        except FileError as error:
            body.close()
            state.fault = error
            return state, None
        except OSError as error:
            body.close()
            if is_of_the_machine(error):
                raise lack_of_machine(error, file.uri) from error
            raise
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


def _may_fetch(file: SourceFile, waiting: Sequence[SourceFile]) -> bool:
    ahead = sum(each.size for each in waiting)
    return not waiting or (len(waiting) < _AHEAD and ahead + file.size <= _AHEAD_BYTES)


def _require_room(file: SourceFile) -> None:
    """Raises TransientError if the disk for temporary files has no room for ``file`` and a reserve."""
    folder = gettempdir()
    free = disk_usage(folder).free
    if free < file.size + _RESERVE:
        raise TransientError(
            f"no room for its {file.size:,} bytes in {folder}, which has {free:,} bytes free; make room there, or set "
            "TMPDIR to a folder on a larger disk, then clear the task to resume",
            uri=file.uri,
        )


def _close(found: Future[tuple[OpenFile | None, IO[bytes] | None]]) -> None:
    if not found.cancelled() and not found.exception() and (body := found.result()[1]):
        body.close()
