"""What a dry run works with instead of the destination and of its state: nothing is sent, and nothing is kept."""

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
    """A destination that accepts everything and only counts it, in ``forecast``."""

    in_flight = 8

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.forecast = Forecast()
        self._lock = Lock()

    def preflight(self) -> None:
        """Nothing is sent, so nothing has to be there."""

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        """Counts the chunk."""
        entries = [entry for span in chunk for entry in span]
        with self._lock:
            self.forecast.requests += 1
            for entry in entries:
                self.forecast.count(entry)
        complete([SENT] * len(entries))

    def close(self) -> None:
        """Nothing is open."""


class Overlay:
    """A bucket that can be written to without a trace: what is written stays in memory, over what the bucket holds.

    Safe to share between threads as far as ``MemoryObjects`` is.
    """

    def __init__(self, below: ObjectStore) -> None:
        self.bucket = below.bucket
        self._below = below
        self._written = MemoryObjects(below.bucket)
        self._deleted: set[str] = set()

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """Every object below ``prefix``, in the order of the keys."""
        found = {each.key: each for each in self._below.objects(prefix) if each.key not in self._deleted}
        found |= {each.key: each for each in self._written.objects(prefix)}
        return iter(sorted(found.values(), key=lambda each: each.key))

    def folders(self, prefix: str) -> list[str]:
        """The prefixes one level below ``prefix``; those of deleted objects stay."""
        return sorted({*self._below.folders(prefix), *self._written.folders(prefix)})

    def read(self, key: str) -> bytes | None:
        """The content, or None where there is no such object."""
        found = self.read_version(key)
        return found[0] if found else None

    def write(self, key: str, body: bytes) -> None:
        """Keeps the object in memory."""
        self._written.write(key, body)

    def read_version(self, key: str) -> tuple[bytes, str] | None:
        """The content and its ETag, or None where there is no such object."""
        if found := self._written.read_version(key):
            return found
        return None if key in self._deleted else self._below.read_version(key)

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        """Keeps the object in memory; raises ConflictError where the one to replace is another by now."""
        if self._written.read(key) is None:
            found = self.read_version(key)
            if (found[1] if found else None) != replaces:
                raise ConflictError("another writer was first", uri=f"s3://{self.bucket}/{key}")
            replaces = None
        return self._written.write_version(key, body, replaces)

    def delete(self, key: str) -> None:
        """Hides the object."""
        self._written.delete(key)
        self._deleted.add(key)

    def download(self, key: str, etag: str, into: IO[bytes]) -> None:
        """Copies an object into a file; raises FileError where it is another one by now."""
        hidden = key in self._deleted or self._written.read(key) is not None
        (self._written if hidden else self._below).download(key, etag, into)
