"""The ports: what the core needs from outside. Adapters implement them; ``currents_aws.memory`` does so in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Literal, Protocol

from currents_core.entry import Span
from currents_core.errors import CurrentsError
from currents_core.limits import Limits

# Why a listed file can no longer be read.
CHANGED = "changed or removed since it was listed; the next run picks up what is there now"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing. ``size`` is in bytes; ``etag`` has no quotes."""

    key: str
    etag: str
    size: int


class ObjectStore(Protocol):
    """One bucket. Any method may raise SetupError or TransientError, whose text names the bucket and the key.

    ``partition`` is the partition of AWS that the bucket is in, such as `aws` or `aws-cn`. ARNs begin with it.
    """

    bucket: str
    partition: str

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose key begins with ``prefix``, in the order of the keys."""

    def folders(self, prefix: str) -> list[str]:
        """The folders one level below ``prefix``, as whole prefixes that end in a slash."""

    def read(self, key: str) -> bytes | None:
        """The content, or None if there is no such object."""

    def write(self, key: str, body: bytes) -> None:
        """Writes the whole object. Readers see the old content or the new, never a mixture."""

    def upload(self, key: str, body: IO[bytes]) -> None:
        """Writes the whole object from an open file, of up to 5 GB, as ``write`` does."""

    def read_version(self, key: str) -> tuple[bytes, str] | None:
        """The content and its ETag, for ``write_version``; None if there is no such object."""

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        """Writes the object if its ETag is still ``replaces``; None means that there must be no object yet.

        Returns the new ETag. Raises ConflictError if another writer was first.
        """

    def delete(self, key: str) -> None:
        """Removes the object, if there is one."""

    def download(self, key: str, etag: str, into: IO[bytes]) -> None:
        """Copies the object into an open file. Raises FileError if its ETag is no longer ``etag``."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The entry was accepted."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The entry was not accepted this time, and may be sent again.

    ``cause`` classifies ``code``: the destination throttled, it failed temporarily, or it gave an undocumented code.
    ``maybe_accepted``: no answer came, so the destination may have accepted the entry.
    """

    code: str
    message: str
    cause: Literal["throttled", "outage", "undocumented"]
    maybe_accepted: bool = False


@dataclass(frozen=True, slots=True)
class Invalid:
    """The entry will never be accepted.

    ``whole_request``: the request as a whole was refused, perhaps because of another of its entries. ``by_policy``: a
    policy refused the entry. One of these may concern this entry alone; many in a row mean that nothing can be sent.
    """

    code: str
    message: str
    whole_request: bool = False
    by_policy: bool = False


SENT = Sent()
Result = Sent | Failed | Invalid
# How a request completes: with one result per entry, in order, or with the error that ends all sending.
Completion = Callable[[Sequence[Result] | CurrentsError], None]


class Target(Protocol):
    """Where entries are sent. ``in_flight`` is the most requests that may be under way at once."""

    limits: Limits
    in_flight: int

    def preflight(self) -> None:
        """Checks the destination before a run. Raises SetupError if it can't take events."""

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        """Starts to send one chunk, and returns at once.

        ``complete`` is called once, from any thread: with one result per entry, in order, or with the CurrentsError
        that ends all sending.
        """

    def close(self) -> None:
        """Closes the connections."""
