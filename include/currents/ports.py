"""What the core asks of the outside. Adapters implement it; ``include.adapters.memory`` is the shipped fake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from include.currents.entry import Entry
from include.currents.limits import Limits

# Why a file that was listed can't be read any more.
CHANGED = "changed or removed since it was listed; the next run finds what is there now"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing. ``size`` is in bytes, ``etag`` without quotes."""

    key: str
    etag: str
    size: int


class ObjectStore(Protocol):
    """One bucket. Every method raises SetupError or TransientError, which name the bucket and the key."""

    bucket: str

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """Every object below ``prefix``, in the order of the keys."""

    def folders(self, prefix: str) -> list[str]:
        """The prefixes one level below ``prefix``, each ending in a slash."""

    def read(self, key: str) -> bytes | None:
        """The content, or None where there is no such object."""

    def write(self, key: str, body: bytes) -> None:
        """Writes the whole object; readers see the old or the new content, never a part."""

    def delete(self, key: str) -> None:
        """Removes the object; no fault where there is none."""

    def download(self, key: str, etag: str, into: IO[bytes]) -> None:
        """Copies the object into a file, if it still has this ETag; raises FileError where it has not."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The entry was accepted."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The entry was not accepted and may be sent again."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Invalid:
    """The entry will never be accepted."""

    code: str
    message: str


Result = Sent | Failed | Invalid


class Target(Protocol):
    """Where entries go."""

    limits: Limits

    def preflight(self) -> None:
        """Raises SetupError where the destination can't take events."""

    def send(self, entries: Sequence[Entry]) -> list[Result]:
        """Sends one chunk and answers entry by entry, in order. Raises SetupError where no chunk could ever go."""
