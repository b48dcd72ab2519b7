"""What the core asks of the outside. Adapters implement it; ``currents_aws.memory`` is the shipped fake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Literal, Protocol

from currents_core.entry import Span
from currents_core.errors import CurrentsError
from currents_core.limits import Limits

# Why a file that was listed can't be read any more.
CHANGED = "changed or removed since it was listed; the next run picks up what is there now"


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

    def read_version(self, key: str) -> tuple[bytes, str] | None:
        """The content and its ETag, or None where there is no such object."""

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        """Writes the object if it still has the ETag ``replaces``, or if there is none; returns its new ETag.

        Raises ConflictError where somebody else was quicker.
        """

    def delete(self, key: str) -> None:
        """Removes the object; no fault where there is none."""

    def download(self, key: str, etag: str, into: IO[bytes]) -> None:
        """Copies the object into a file, if it still has this ETag; raises FileError where it has not."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The entry was accepted."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The entry may be sent again. ``maybe_accepted``: no answer came, so it may be at its destination already.

    ``cause`` says what kind of failure ``code`` is: too fast, a fault that passes by itself, or a code that the
    destination does not document.
    """

    code: str
    message: str
    cause: Literal["throttled", "outage", "undocumented"]
    maybe_accepted: bool = False


@dataclass(frozen=True, slots=True)
class Invalid:
    """The entry will never be accepted. ``whole_request``: its request was refused, maybe because of another entry.

    ``by_policy``: a policy refused it. One such entry may be special; a row of them says that nothing can go.
    """

    code: str
    message: str
    whole_request: bool = False
    by_policy: bool = False


SENT = Sent()
Result = Sent | Failed | Invalid
# How a request completes: with a result for each of its entries, in their order, or with what ends all sending.
Completion = Callable[[Sequence[Result] | CurrentsError], None]


class Target(Protocol):
    """Where entries go. ``in_flight`` is how many requests may be under way at once."""

    limits: Limits
    in_flight: int

    def preflight(self) -> None:
        """Raises SetupError where the destination can't take events."""

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        """Starts to send one chunk, and returns at once.

        ``complete`` is called once, from any thread: with a result for every entry, in order, or with a SetupError
        where no chunk could ever go.
        """

    def close(self) -> None:
        """Ends the connections."""
