"""What a dry run has in place of the destination and the state, so that it sends nothing and leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import IO

from currents_aws.memory import MemoryObjects
from currents_core.delivering.dry_run import Forecast
from currents_core.entry import Span
from currents_core.errors import ConflictError
from currents_core.limits import Limits
from currents_core.ports import SENT, Completion, ObjectStore, StoredObject


class DryRunTarget:
    """A destination that accepts every entry and only counts it in ``forecast``."""

    in_flight = 8

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.forecast = Forecast()
        self._lock = Lock()

    def preflight(self) -> None:
        """Checks nothing, because nothing is sent."""

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

    It is as safe to share between threads as ``MemoryObjects``.
    """

    def __init__(self, below: ObjectStore) -> None:
        self.bucket = below.bucket
        self.partition = below.partition
        self._below = below
        self._written = MemoryObjects(below.bucket)
        self._deleted: set[str] = set()

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose key begins with ``prefix``, in the order of the keys."""
        listed = {each.key: each for each in self._below.objects(prefix) if each.key not in self._deleted}
        listed |= {each.key: each for each in self._written.objects(prefix)}
        return iter(sorted(listed.values(), key=lambda each: each.key))

    def folders(self, prefix: str) -> list[str]:
        """The folders one level below ``prefix``. Those of deleted objects stay."""
        return sorted({*self._below.folders(prefix), *self._written.folders(prefix)})

    def read(self, key: str) -> bytes | None:
        """The content, or None if there is no such object."""
        stored = self.read_version(key)
        return stored[0] if stored else None

    def write(self, key: str, body: bytes) -> None:
        """Keeps the object in memory."""
        self._written.write(key, body)

    def upload(self, key: str, body: IO[bytes]) -> None:
        """Writes the whole object from an open file."""
        self.write(key, body.read())

    def read_version(self, key: str) -> tuple[bytes, str] | None:
        """The content and its ETag, or None if there is no such object."""
        if written := self._written.read_version(key):
            return written
        return None if key in self._deleted else self._below.read_version(key)

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        """Keeps the object in memory. Raises ConflictError if the current ETag is not ``replaces``."""
        if self._written.read(key) is None:
            stored = self.read_version(key)
            if (stored[1] if stored else None) != replaces:
                raise ConflictError("another writer was first", uri=f"s3://{self.bucket}/{key}")
            replaces = None
        return self._written.write_version(key, body, replaces)

    def delete(self, key: str) -> None:
        """Hides the object."""
        self._written.delete(key)
        self._deleted.add(key)

    def download(self, key: str, etag: str, into: IO[bytes]) -> None:
        """Copies the object into an open file. Raises FileError if its ETag is no longer ``etag``."""
        hidden = key in self._deleted or self._written.read(key) is not None
        (self._written if hidden else self._below).download(key, etag, into)
