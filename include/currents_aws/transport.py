"""The transport seam: how one AWS request gets to its service and the answer back. Two implementations keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from currents_core.errors import CurrentsError


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered. ``code`` is AWS's error code, empty where the request went well."""

    status: int
    output: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The connection failed. ``maybe_accepted`` says whether the request may have reached the service all the same."""

    reason: str
    maybe_accepted: bool


# How a request completes.
Completion = Callable[[Answer | NoAnswer | CurrentsError], None]


class Transport(Protocol):
    """Carries requests of one service."""

    in_flight: int

    def send(self, operation: str, body: bytes, complete: Completion) -> None:
        """Starts one request and returns at once; ``complete`` is called once, from any thread, with what came of it.

        ``body`` has the parameters of the operation as JSON, times in seconds since the epoch.

        There is no retry: an answer of whatever status is an ``Answer``. A CurrentsError means that no request could
        be made, such as for want of credentials.
        """

    def close(self) -> None:
        """Ends every connection. Requests under way are answered first, or end as ``NoAnswer``."""
