"""The transport seam: how one AWS request gets to its service, and the answer back. It has two implementations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from currents_core.errors import CurrentsError


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of the service.

    ``status`` is the HTTP status. ``output`` is what the operation returned. ``code`` and ``message`` are those of an
    error of the whole request; a success leaves them empty.
    """

    status: int
    output: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The request got no answer. ``maybe_accepted`` says whether it may have reached the service all the same."""

    reason: str
    maybe_accepted: bool


# How a request completes.
Completion = Callable[[Answer | NoAnswer | CurrentsError], None]


class Transport(Protocol):
    """Carries requests of one service. ``in_flight`` is the most requests that may be under way at once."""

    in_flight: int

    def send(self, operation: str, body: bytes, complete: Completion) -> None:
        """Starts one request and returns at once. ``complete`` is called once, from any thread, with the outcome.

        ``body`` has the parameters of the operation in the protocol of the service, with times in seconds since the
        epoch.

        Nothing is retried: a response of any status is an ``Answer``. A CurrentsError means that no request could be
        made, for example without credentials.
        """

    def close(self) -> None:
        """Closes every connection. Requests under way are answered first, or complete with ``NoAnswer``."""
