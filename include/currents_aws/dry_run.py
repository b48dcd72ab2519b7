"""What a dry run has in place of the destination and the state, so that it sends nothing and leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from threading import Lock
from typing import IO

from currents_aws.json_wire import JsonWire
from currents_aws.memory import MemoryObjects
from currents_core.delivering.dry_run import Forecast
from currents_core.entry import Common, Span, Wire
from currents_core.errors import ConflictError, FileError, TransientError
from currents_core.limits import Limits
from currents_core.ports import SENT, Completion, Finding, ObjectStore, StoredObject, Version


class DryRunTarget:
    """A destination that accepts every entry and only counts it in ``forecast``."""

    in_flight = 8
    look: Callable[[], None] | None = None

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.wire: Wire = JsonWire()
        self.forecast = Forecast()
        self._lock = Lock()

    def preflight(self, probes: Sequence[Common] = ()) -> list[Finding]:  # noqa: ARG002
        """Checks nothing, because nothing is sent."""
        return []

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        """Counts the chunk and accepts it at once."""
        entries = [entry for span in chunk for entry in span]
        with self._lock:
            self.forecast.requests += 1
            for entry in entries:
                self.forecast.count(entry)
        complete([SENT] * len(entries))

    def close(self) -> None:
        """Does nothing, because nothing is open."""


class Overlay:
    """A bucket that can be written to without a trace: what is written stays in memory and hides what is in the bucket.

    It is as safe to share between threads as ``MemoryObjects``. What is written under a key that it ``forgets``, which
    nobody may read, takes no memory.
    """

    def __init__(self, below: ObjectStore, forgets: Callable[[str], bool] = lambda _: False) -> None:
        self.bucket = below.bucket
        self.partition = below.partition
        self._below = below
        self._forgets = forgets
        self._written = MemoryObjects(below.bucket)
        self._deleted: set[str] = set()
        # The ETags of the objects that this hides by versions of its own.
        self._hidden: dict[str, str] = {}

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """Every object whose key begins with ``prefix`` and comes after ``after``, in the order of the keys."""
        written = list(self._written.objects(prefix, after))
        hidden = self._deleted | {each.key for each in written}
        below = (each for each in self._below.objects(prefix, after) if each.key not in hidden)
        return merge(below, written, key=lambda each: each.key)

    def folders(self, prefix: str) -> list[str]:
        """The folders one level below ``prefix``. Those of deleted objects stay."""
        return sorted({*self._below.folders(prefix), *self._written.folders(prefix)})

    def read(self, key: str) -> bytes | None:
        """The content, or None if there is no such object."""
        stored = self.read_version(key)
        return stored.body if stored else None

    def read_part(self, key: str, start: int, size: int) -> bytes | None:
        """``size`` bytes of the content from ``start`` on, or None if there is no such object."""
        return (self._written if self._is_hidden(key) else self._below).read_part(key, start, size)

    def write(self, key: str, body: bytes) -> None:
        """Keeps the object in memory."""
        if not self._forgets(key):
            self._written.write(key, body)

    def upload(self, key: str, body: IO[bytes]) -> None:
        """Writes the whole object from an open file."""
        self.write(key, body.read())

    def read_version(self, key: str) -> Version | None:
        """The content with its ETag and its age, or None if there is no such object."""
        if written := self._written.read_version(key):
            return written
        return None if key in self._deleted else self._below.read_version(key)

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        """Keeps the object in memory. Raises ConflictError if the current ETag is not ``replaces``."""
        if self._written.read(key) is None:
            stored = self.read_version(key)
            if (stored.etag if stored else None) != replaces:
                raise ConflictError("another writer was first", uri=f"s3://{self.bucket}/{key}")
            if replaces is not None:
                self._hidden[key] = replaces
            replaces = None
        return self._written.write_version(key, body, replaces)

    def has_version(self, key: str, etag: str) -> bool:
        """Whether the object is there now, with this ETag."""
        return (self._written if self._is_hidden(key) else self._below).has_version(key, etag)

    def delete(self, key: str) -> None:
        """Hides the object."""
        self._written.delete(key)
        self._deleted.add(key)

    def delete_version(self, key: str, etag: str) -> None:
        """Hides the object if it has this ETag. Raises ConflictError if there is another version."""
        stored = self.read_version(key)
        if stored and stored.etag.strip('"') != etag:
            raise ConflictError("another writer was first", uri=f"s3://{self.bucket}/{key}")
        self.delete(key)

    def download(self, key: str, etag: str | None, into: IO[bytes]) -> None:
        """Copies the object into an open file. Raises FileError if it is gone or its ETag is no longer ``etag``.

        Raises TransientError if it may be gone because what this hides was replaced meanwhile.
        """
        if self._is_hidden(key):
            self._written.download(key, etag, into)
            return
        try:
            self._below.download(key, etag, into)
        except FileError as error:
            if all(self._below.has_version(*each) for each in list(self._hidden.items())):
                raise
            raise TransientError(
                "a delivery replaced it while this was a dry run; clear the task to look again", uri=error.uri
            ) from error

    def _is_hidden(self, key: str) -> bool:
        return key in self._deleted or self._written.read(key) is not None
