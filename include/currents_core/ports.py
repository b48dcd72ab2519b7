"""The ports: what the core needs from outside. Adapters implement them; ``currents_aws.memory`` does so in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, NamedTuple, Protocol

from currents_core.errors import CurrentsError
from currents_core.limits import Limits

if TYPE_CHECKING:
    # Who only reads books, such as a page of the API server, needs no Arrow.
    from currents_core.entry import Common, Span, Wire

# Why a listed file can no longer be read.
CHANGED = "changed or removed since it was listed; the next run picks up what is there now"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing. ``size`` is in bytes; ``etag`` has no quotes.

    ``age`` is for how long it had been there when the store answered, in seconds, by the store's own clock.
    """

    key: str
    etag: str
    size: int
    age: float


class Version(NamedTuple):
    """One version of an object: its content, its ETag, and for how long it has been there, in seconds.

    ``age`` is measured by the store's own clock, whatever this machine's says.
    """

    body: bytes
    etag: str
    age: float


class ObjectStore(Protocol):
    """One bucket. Any method may raise SetupError or TransientError, whose text names the bucket and the key.

    ``partition`` is the partition of AWS that the bucket is in, such as `aws` or `aws-cn`. ARNs begin with it.
    """

    bucket: str
    partition: str

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """Every object whose key begins with ``prefix`` and comes after ``after``, in the order of the keys.

        It lists no more than is asked for.
        """

    def folders(self, prefix: str) -> list[str]:
        """The folders one level below ``prefix``, as whole prefixes that end in a slash."""

    def read(self, key: str) -> bytes | None:
        """The content, or None if there is no such object."""

    def read_part(self, key: str, start: int, size: int) -> bytes | None:
        """``size`` bytes of the content from ``start`` on, or None if there is no such object.

        The object must have a byte at ``start``. The part is shorter where the object ends before.
        """

    def write(self, key: str, body: bytes) -> None:
        """Writes the whole object. Readers see the old content or the new, never a mixture."""

    def upload(self, key: str, body: IO[bytes]) -> None:
        """Writes the whole object from an open file, of up to 5 GB, as ``write`` does."""

    def read_version(self, key: str) -> Version | None:
        """The content with its ETag, for ``write_version``, and its age; None if there is no such object."""

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        """Writes the object if its ETag is still ``replaces``; None means that there must be no object yet.

        Returns the new ETag. Raises ConflictError if another writer was first. It is tried once, and not for long: of
        a write that got no answer, nobody knows whether it will still take effect.
        """

    def has_version(self, key: str, etag: str) -> bool:
        """Whether the object is there now, with this ETag."""

    def delete(self, key: str) -> None:
        """Removes the object, if there is one."""

    def delete_version(self, key: str, etag: str) -> None:
        """Removes the object if it has this ETag; nothing happens if there is no object.

        Raises ConflictError if there is another version, or the store found out too late that there is none.
        """

    def download(self, key: str, etag: str | None, into: IO[bytes]) -> None:
        """Copies the object into an open file.

        Raises FileError if it is gone, if its ETag is no longer ``etag``, or if it can't be read as it is, such as one
        that is archived. None stands for any ETag.
        """


@dataclass(frozen=True, slots=True)
class Sent:
    """The entry was accepted.

    ``is_deduplicated``: the destination said that it has the event already, and hands it to nobody again.
    """

    is_deduplicated: bool = False


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


SENT, DEDUPLICATED = Sent(), Sent(is_deduplicated=True)
Result = Sent | Failed | Invalid
# How a request completes: with one result per entry, in order, or with the error that ends all sending.
Completion = Callable[[Sequence[Result] | CurrentsError], None]


class Finding(NamedTuple):
    """What one check before a run found: what was checked, in a word, and what was found, in a line.

    ``is_warning``: somebody should look at it, though the run may go on.
    """

    checked: str
    found: str
    is_warning: bool = False

    def __str__(self) -> str:
        return f"{self.checked}: {self.found}"


class Target(Protocol):
    """Where entries are sent. ``in_flight`` is the most requests that may be under way at once.

    ``wire`` writes the entries that it takes.
    """

    limits: Limits
    wire: Wire
    in_flight: int

    @property
    def look(self) -> Callable[[], None] | None:
        """None where an accepted entry has arrived.

        Elsewhere, what was accepted since the last look has arrived if the next look, begun after that, finds nothing
        wrong. A look raises SetupError or DroppedError if it has not, and another TransientError if nobody can tell.
        """

    def preflight(self, probes: Sequence[Common] = ()) -> list[Finding]:
        """Checks the destination before a run: whether it is there and, with probes, whether events may be sent.

        A probe is what an entry has in common with events that will be sent; the destination refuses it for its form,
        and so nothing arrives. Raises SetupError if it can't take events, TransientError if that may pass.
        """

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        """Starts to send one chunk, and returns at once.

        ``complete`` is called once, from any thread: with one result per entry, in order, or with the CurrentsError
        that ends all sending.
        """

    def close(self) -> None:
        """Closes the connections."""
