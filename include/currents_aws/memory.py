"""The ports in memory, for tests, benchmarks and dry runs. They keep the contracts of the real ones."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from currents_aws.json_wire import JsonWire
from currents_core.entry import Common, Entry, Span, Wire
from currents_core.errors import ConflictError, FileError
from currents_core.limits import EVENT_BUS, Limits
from currents_core.ports import CHANGED, SENT, Completion, Finding, Result, Sent, StoredObject, Version


class MemoryObjects:
    """A bucket that is a dictionary of keys and contents. ``clock`` is the store's own, in seconds."""

    def __init__(
        self,
        bucket: str = "memory",
        contents: dict[str, bytes] | None = None,
        partition: str = "aws",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.bucket = bucket
        self.partition = partition
        self.contents = contents if contents is not None else {}
        self.clock = clock
        self._changed: dict[str, float] = {}
        self._lock = threading.Lock()

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """Every object whose key begins with ``prefix`` and comes after ``after``, in the order of the keys."""
        for key in sorted(self.contents):
            # Somebody may remove objects meanwhile.
            if key.startswith(prefix) and key > after and (body := self.contents.get(key)) is not None:
                yield StoredObject(key, _etag(body), len(body), self._age(key))

    def folders(self, prefix: str) -> list[str]:
        """The folders one level below ``prefix``."""
        rest = (key.removeprefix(prefix) for key in self.contents if key.startswith(prefix))
        return sorted({f"{prefix}{path.split('/')[0]}/" for path in rest if "/" in path})

    def read(self, key: str) -> bytes | None:
        """The content, or None if there is no such object."""
        return self.contents.get(key)

    def read_part(self, key: str, start: int, size: int) -> bytes | None:
        """``size`` bytes of the content from ``start`` on, or None if there is no such object."""
        body = self.contents.get(key)
        return None if body is None else body[start : start + size]

    def write(self, key: str, body: bytes) -> None:
        """Writes the whole object."""
        self.contents[key] = body
        self._changed[key] = self.clock()

    def upload(self, key: str, body: IO[bytes]) -> None:
        """Writes the whole object from an open file."""
        self.write(key, body.read())

    def read_version(self, key: str) -> Version | None:
        """The content with its ETag and its age, or None if there is no such object."""
        with self._lock:
            if key not in self.contents:
                return None
            return Version(self.contents[key], self.etag(key), self._age(key))

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        """Writes the object and returns its ETag. Raises ConflictError if the current ETag is not ``replaces``."""
        with self._lock:
            if (self.etag(key) if key in self.contents else None) != replaces:
                raise ConflictError("another writer was first", uri=f"s3://{self.bucket}/{key}")
            self.write(key, body)
            return self.etag(key)

    def has_version(self, key: str, etag: str) -> bool:
        """Whether the object is there now, with this ETag."""
        return key in self.contents and self.etag(key) == etag

    def delete(self, key: str) -> None:
        """Removes the object, if it is there."""
        self.contents.pop(key, None)

    def delete_version(self, key: str, etag: str) -> None:
        """Removes the object if it has this ETag. Raises ConflictError if there is another version."""
        with self._lock:
            if key in self.contents and self.etag(key) != etag:
                raise ConflictError("another writer was first", uri=f"s3://{self.bucket}/{key}")
            self.delete(key)

    def download(self, key: str, etag: str | None, into: IO[bytes]) -> None:
        """Copies the object into an open file. Raises FileError if it is gone or its ETag is no longer ``etag``."""
        body = self.contents.get(key)
        if body is None or etag not in {None, self.etag(key)}:
            raise FileError(CHANGED, uri=f"s3://{self.bucket}/{key}")
        into.write(body)

    def etag(self, key: str) -> str:
        """The ETag of an object, which is the MD5 of its content, as for a plain object in S3.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
        """
        return _etag(self.contents[key])

    def _age(self, key: str) -> float:
        return self.clock() - self._changed.get(key, 0.0)


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


class MemoryTarget:
    """A destination that keeps the entries that it accepts, and the number of entries of each request.

    ``answer``, if given, returns the result of an entry; without it, every entry is accepted.
    """

    def __init__(self, limits: Limits = EVENT_BUS, answer: Callable[[Entry], Result] | None = None) -> None:
        self.limits = limits
        self.wire: Wire = JsonWire()
        self.in_flight = 8
        self.look: Callable[[], None] | None = None
        self.accepted: list[Entry] = []
        self.requests: list[int] = []
        self.answer = answer

    def preflight(self, probes: Sequence[Common] = ()) -> list[Finding]:  # noqa: ARG002
        """Checks nothing, because a destination in memory is always there."""
        return []

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        """Completes at once, with the result of each entry."""
        entries = [entry for span in chunk for entry in span]
        results = [self.answer(entry) if self.answer else SENT for entry in entries]
        self.requests.append(len(entries))
        self.accepted += [entry for entry, result in zip(entries, results, strict=True) if isinstance(result, Sent)]
        complete(results)

    def close(self) -> None:
        """Does nothing, because nothing is open."""
