"""A bucket as the processes see it: every call is seen to begin and to end, and fails as the seed decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, TypeVar

from currents_aws.memory import MemoryObjects
from currents_core.errors import ConflictError, TransientError
from currents_core.ports import StoredObject, Version
from tests.simulation.scheduler import Process, Scheduler

Result = TypeVar("Result")


@dataclass
class StoreFaults:
    """How often calls fail: ``lost`` of the writes get no answer, ``down`` of all calls an error without any effect."""

    lost: float = 0.0
    down: float = 0.0


@dataclass
class Bucket:
    """The truth of one bucket. ``landed`` is called with the writer and the key after each change.

    ``limbo`` has the writes that got no answer and take effect later, or never.
    """

    scheduler: Scheduler
    name: str
    faults: StoreFaults = field(default_factory=StoreFaults)
    landed: Callable[[Process, str], None] = lambda _process, _key: None
    limbo: list[tuple[str, Callable[[], None]]] = field(default_factory=list)
    is_down: bool = False

    def __post_init__(self) -> None:
        self.objects = MemoryObjects(self.name, clock=lambda: self.scheduler.clock)

    def land_late(self, place: int) -> None:
        """Has a write of the limbo take effect."""
        what, effect = self.limbo.pop(place)
        self.scheduler.tell(f"lands late: {what}")
        try:
            effect()
        except ConflictError:
            self.scheduler.tell("   conflict")


class View:
    """The bucket as one process calls it. ``confirmed`` is told of each version that the process knows to be there."""

    partition = "aws"

    def __init__(self, bucket: Bucket, process: Process, watch: Watch | None = None) -> None:
        self.bucket = bucket.name
        self._truth = bucket
        self.process = process
        self._watch = watch or Watch()

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """Every object whose key begins with ``prefix``."""
        return iter(self._read(f"list {prefix}", lambda: list(self._truth.objects.objects(prefix))))

    def folders(self, prefix: str) -> list[str]:
        """The folders one level below ``prefix``."""
        return self._read(f"folders {prefix}", lambda: self._truth.objects.folders(prefix))

    def read(self, key: str) -> bytes | None:
        """The content, or None."""
        return self._read(f"read {key}", lambda: self._truth.objects.read(key))

    def read_part(self, key: str, start: int, size: int) -> bytes | None:
        """A part of the content, or None."""
        return self._read(f"read part of {key}", lambda: self._truth.objects.read_part(key, start, size))

    def read_version(self, key: str) -> Version | None:
        """The content with its ETag and age, or None."""
        version = self._read(f"read {key}", lambda: self._truth.objects.read_version(key))
        if version:
            self._watch.saw(key, version.body)
        else:
            self._watch.missed(key)
        return version

    def has_version(self, key: str, etag: str) -> bool:
        """Whether the object is there now, with this ETag."""
        return self._read(f"head {key}", lambda: self._truth.objects.has_version(key, etag))

    def download(self, key: str, etag: str | None, into: IO[bytes]) -> None:
        """Copies the object into an open file."""
        self._read(f"download {key}", lambda: self._truth.objects.download(key, etag, into))

    def write(self, key: str, body: bytes) -> None:
        """Writes the whole object."""
        self._write(f"write {key}", key, lambda: self._truth.objects.write(key, body))

    def upload(self, key: str, body: IO[bytes]) -> None:
        """Writes the whole object from an open file."""
        self.write(key, body.read())

    def delete(self, key: str) -> None:
        """Removes the object."""
        self._write(f"delete {key}", key, lambda: self._truth.objects.delete(key))

    def delete_version(self, key: str, etag: str) -> None:
        """Removes the object if it has this ETag."""
        self._write(f"delete version {key}", key, lambda: self._truth.objects.delete_version(key, etag))

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        """Writes the object if its ETag is still ``replaces``."""
        self._watch.began(key, body)
        etag = self._write(f"swap {key}", key, lambda: self._truth.objects.write_version(key, body, replaces))
        self._watch.saw(key, body)
        return etag

    def _read(self, what: str, effect: Callable[[], Result]) -> Result:
        return self._call(what, effect)

    def _write(self, what: str, key: str, effect: Callable[[], Result]) -> Result:
        truth, process = self._truth, self.process

        def land() -> Result:
            result = effect()
            truth.landed(process, key)
            return result

        delayed = (f"{process.name}: {what}", lambda: _no(land()))
        try:
            return self._call(what, land, lambda: truth.limbo.append(delayed))
        except TransientError:
            self._watch.failed(key)
            raise

    def _call(self, what: str, effect: Callable[[], Result], delay: Callable[[], None] | None = None) -> Result:
        """One call: what comes before its effect, the effect, what comes after; or a fault in its place."""
        scheduler, faults = self._truth.scheduler, self._truth.faults
        scheduler.pause()
        fate = scheduler.random.random()
        if self._truth.is_down or fate < faults.down:
            scheduler.tell(f"{self.process.name}: {what}: unavailable")
            scheduler.pause()
            raise TransientError("SlowDown: please reduce your request rate", uri=f"s3://{self.bucket}")
        is_lost = bool(delay) and fate < faults.down + faults.lost
        way = scheduler.random.random() if is_lost else 1.0
        result: Result | None = None
        if way >= 0.5:
            try:
                result = effect()
            except Exception as error:
                scheduler.tell(f"{self.process.name}: {what}: {type(error).__name__}")
                scheduler.pause()
                raise
        elif way >= 0.2 and delay:
            delay()
        scheduler.tell(f"{self.process.name}: {what}{f': no answer, {way:.2f}' if is_lost else ''}")
        if self.process.slowness:
            self.process.stalled_steps = int(scheduler.random.random() * self.process.slowness)
        scheduler.pause()
        if is_lost:
            raise TransientError("no answer in time", uri=f"s3://{self.bucket}")
        return result  # type: ignore[return-value]


class Watch:
    """What an observer learns of the versions that a process swaps. This one ignores it all."""

    def began(self, key: str, body: bytes) -> None:
        """A swap begins."""

    def failed(self, key: str) -> None:
        """A write got no answer, or a bad one."""

    def saw(self, key: str, body: bytes) -> None:
        """The process knows that this is, or was, the content."""

    def missed(self, key: str) -> None:
        """The process knows that there is no such object."""


def _no(_: object) -> None:
    return None
