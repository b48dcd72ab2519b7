"""Takes slices in order, and downloads their files ahead of their turn."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from io import RawIOBase
from tempfile import TemporaryFile
from typing import IO, Literal, NamedTuple, TypeVar, cast

from currents_core.books.ledger import Held
from currents_core.crew import Crew, Job, waited_for
from currents_core.delivering.open_file import OpenFile
from currents_core.delivering.open_slice import OpenSlice
from currents_core.delivering.take import Taker
from currents_core.disk_room import require_room
from currents_core.errors import FileError, StoppedError, TransientError, is_of_the_machine, lack_of_machine
from currents_core.file_key import Slice, SourceFile
from currents_core.ports import ObjectStore

log = logging.getLogger(__name__)

# How many files are fetched before their turn, and how many bytes, which hides the latency of S3 for small ones; and
# how many slices are taken before theirs.
_AHEAD, _SLICES_AHEAD = 8, 8
_AHEAD_BYTES = 256 << 20
# The store tells the age of a claim in whole seconds.
_MARGIN = 2.0
# How long another task may hold a slice, showing that it is alive, before this task gives up waiting, in seconds.
_PATIENCE = 900.0

# What becomes of a slice that another task has: it is left to that task at once, or once it is certain that the task is
# alive, or it is waited for until the task is through or gone.
Wait = Literal["no", "until alive", "until through"]
_TOLD = {
    "until alive": "has it; waiting until it is seen to be alive, or gone",
    "until through": "has it; waiting until it is through or gone",
}

Found = TypeVar("Found")
Work = tuple[Slice, Sequence[SourceFile]]


class Fetched(NamedTuple):
    """A file whose turn it is, and its content, which the caller closes; no file stands for the end of the slice.

    There is no content if the file could not be downloaded; then it has a fault.
    """

    slice: OpenSlice
    file: OpenFile | None = None
    content: IO[bytes] | None = None


@dataclass
class Fetcher:
    """Takes slices and downloads their files for one delivery.

    ``taken`` is called with every slice as soon as it is taken. ``meanwhile`` is called again and again while the
    caller waits, with the seconds that it may take. ``check`` raises an error if the work is to end. ``left`` are the
    slices that were left to other tasks, and who has them.
    """

    source: ObjectStore
    taker: Taker
    crew: Crew
    taken: Callable[[OpenSlice], None]
    meanwhile: Callable[[float], None]
    check: Callable[[], None]
    left: dict[Slice, Held] = field(default_factory=dict)
    # Whether nobody waits any more for what is under way.
    _is_over: bool = field(default=False, init=False)

    def fetch(self, work: Iterable[Work], wait: Wait = "no") -> Generator[Fetched, None, None]:
        """Yields each file of the slices, and the end of each slice.

        A slice that another task has is asked for once more before it is left to that task: as soon as it is free, if
        that task has died. It may have sent rows that it did not save, and a custom bus knows them for five minutes.
        Only a task that has no other slice may wait until one is through. Raises TransientError if another task has a
        slice for too long.
        """
        line, self._is_over = _Line(self, work, wait), False
        try:
            while line.is_busy:
                line.take_ahead()
                line.sort_out()
                line.fetch_ahead()
                if fetched := line.next():
                    yield fetched
        finally:
            self._is_over = True
            line.end()

    def wait_for(self, job: Job[Found]) -> Found:
        """The result of a job, once it has ended."""
        return waited_for(job, self.meanwhile)

    def take(self, work: Work, wait: Wait) -> OpenSlice | None:
        """Takes a slice; None if it is left to the task that has it."""
        place, files = work
        began, first = self.crew.seconds(), None
        while True:
            self._require_wanted()
            found = self.taker.take(place, files)
            if isinstance(found, OpenSlice):
                self.left.pop(place, None)
                self.taken(found)
                return found
            if wait == "no" or (wait == "until alive" and first and found.sign != first.sign):
                self.left[place] = found
                return None
            if not first:
                log.info("%s: %s %s", place.name, found.owner, _TOLD[wait])
                first = found
            if self.crew.seconds() - began > _PATIENCE:
                raise TransientError(
                    f"{place.name}: {found.owner} has had it for {_PATIENCE // 60:.0f} minutes and is still at it; "
                    "check whether that task is stuck, then clear this one to resume"
                )
            self.crew.sleep(1.0)

    def content(self, opened: OpenFile, ahead: Job[IO[bytes] | TransientError | None]) -> IO[bytes] | None:
        """The content of a file whose turn it is, and that was downloaded ``ahead``.

        What failed then may have passed since, such as a disk that was full for a while.
        """
        found = self.wait_for(ahead)
        if isinstance(found, TransientError):
            return self.wait_for(self.crew.start(self.download, opened))
        return found

    def download_ahead(self, opened: OpenFile) -> IO[bytes] | TransientError | None:
        """What ``download`` gives, or the temporary fault that kept it from it."""
        try:
            return self.download(opened)
        except TransientError as error:
            return error

    def download(self, opened: OpenFile) -> IO[bytes] | None:
        """The content of a file; None if it could not be downloaded, and then the file has a fault."""
        file = opened.file
        try:
            require_room(file.size, file.uri)
            return self._downloaded(file)
        except FileError as error:
            opened.fault = error
            return None
        except BaseException as error:
            if is_of_the_machine(error):
                raise lack_of_machine(error, file.uri) from error
            raise

    def _downloaded(self, file: SourceFile) -> IO[bytes]:
        # It has no name, so that nothing is left of it however the process ends.
        body = TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            self.source.download(file.key, file.etag, cast("IO[bytes]", _Checked(body, self._require_wanted)))
            body.flush()
        except BaseException:
            body.close()
            raise
        return body

    def _require_wanted(self) -> None:
        """Raises an error if the work is to end."""
        if self._is_over:
            raise StoppedError("nobody waits for it any more")
        self.check()


class _Line:
    """What is under way, in order: slices to take, files that wait for their turn, and files that are fetched."""

    def __init__(self, fetcher: Fetcher, work: Iterable[Work], wait: Wait) -> None:
        self._fetcher = fetcher
        self._wait = wait
        self._rest = deque(work)
        # When the claims of others have ended, by the clock of the crew, unless they show that they are alive.
        self._again: list[tuple[float, Work]] = []
        self._asked = set[Slice]()
        self._taking = deque[tuple[Work, Job[OpenSlice | None]]]()
        self._files = deque[tuple[OpenSlice, OpenFile | None]]()
        self._fetching = deque[tuple[OpenSlice, OpenFile | None, Job[IO[bytes] | TransientError | None] | None]]()

    @property
    def is_busy(self) -> bool:
        """Whether there is anything left."""
        return bool(self._rest or self._taking or self._files or self._fetching)

    def take_ahead(self) -> None:
        """Starts to take slices, unless there are files enough."""
        self._ask_again()
        while self._rest and len(self._taking) < _SLICES_AHEAD and len(self._files) < _AHEAD:
            work = self._rest.popleft()
            self._taking.append((work, self._fetcher.crew.start(self._fetcher.take, work, self._wait)))

    def _ask_again(self) -> None:
        """Puts slices that may be free by now in front of the others."""
        now = self._fetcher.crew.seconds()
        due = [work for at, work in self._again if at < now]
        if due:
            self._again = [each for each in self._again if each[0] >= now]
            self._rest.extendleft(reversed(due))

    def _note_held(self, work: Work) -> None:
        """Notes when to ask again for a slice that another task has."""
        place, _ = work
        if self._wait == "no" and place not in self._asked:
            self._asked.add(place)
            seconds = self._fetcher.left[place].seconds + _MARGIN
            self._again.append((self._fetcher.crew.seconds() + seconds, work))

    def sort_out(self) -> None:
        """Lines up the files of slices that are taken. It waits for a slice only if there is nothing else to do."""
        while self._taking and len(self._files) < _AHEAD:
            work, job = self._taking[0]
            if not job.done() and (self._files or self._fetching):
                return
            found = self._fetcher.wait_for(job)
            self._taking.popleft()
            if found:
                self._files.extend((found, file) for file in (*found.todo, None))
            else:
                self._note_held(work)

    def fetch_ahead(self) -> None:
        """Starts to download files for which there is room."""
        while self._files and _may_fetch(self._files[0][1], [file for _, file, _ in self._fetching]):
            opened, file = self._files.popleft()
            job = self._fetcher.crew.start(self._fetcher.download_ahead, file) if file else None
            self._fetching.append((opened, file, job))

    def next(self) -> Fetched | None:
        """The next file or end of a slice, once it is there; None if none is under way."""
        if not self._fetching:
            return None
        opened, file, job = self._fetching[0]
        content = self._fetcher.content(file, job) if file and job else None
        self._fetching.popleft()
        return Fetched(opened, file, content)

    def end(self) -> None:
        """Waits for what is under way, which ends soon, and closes what nobody will read."""
        for _, taken in self._taking:
            _ended(taken)
        for _, _, job in self._fetching:
            body = _ended(job) if job else None
            if body and not isinstance(body, TransientError):
                body.close()


class _Checked(RawIOBase):
    """A file that looks before each write whether the work is to end, so that no download holds that up."""

    def __init__(self, body: IO[bytes], check: Callable[[], None]) -> None:
        self._body = body
        self._check = check

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Writes to the file."""
        self._check()
        return self._body.write(data)


def _may_fetch(file: OpenFile | None, waiting: Sequence[OpenFile | None]) -> bool:
    """Whether there is room for a file ahead of its turn."""
    ahead = [each.file.size for each in waiting if each]
    return not file or not ahead or (len(ahead) < _AHEAD and sum(ahead) + file.file.size <= _AHEAD_BYTES)


def _ended(job: Job[Found]) -> Found | None:
    """What a job returned that nobody waits for any more, once it has ended; None if it failed."""
    try:
        return job.result()
    except Exception:  # noqa: BLE001 - another fault ended the delivery, and is told of
        return None
