"""One request on its way through AWS's Common Runtime, and the part of its answer that has arrived."""

from __future__ import annotations

from typing import Any

from awscrt.http import HttpClientConnection, HttpRequest

from currents_aws.aws_protocol import Operation, read
from currents_aws.transport import Answer, Completion, NoAnswer


class Exchange:
    """A request, from the start until its ``complete`` has been called. The transport's lock guards its fields.

    ``deadline`` is a time of the monotonic clock, in seconds. ``connection`` is None until there is one. ``overdue`` is
    empty, or says why the request was given up.
    """

    __slots__ = (
        "_headers",
        "_operation",
        "_parts",
        "_status",
        "complete",
        "connection",
        "deadline",
        "overdue",
        "request",
    )

    def __init__(self, operation: Operation, request: HttpRequest, complete: Completion) -> None:
        self.request = request
        self.complete = complete
        self.connection: HttpClientConnection | None = None
        self.deadline = float("inf")
        self.overdue = ""
        self._operation = operation
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._parts: list[bytes] = []

    def on_response(self, *, status_code: int, headers: list[tuple[str, str]], **_: Any) -> None:
        """Takes the status and headers of the answer from the runtime."""
        self._status, self._headers = status_code, headers

    def on_body(self, *, chunk: bytes, **_: Any) -> None:
        """Takes a part of the body of the answer from the runtime."""
        self._parts.append(chunk)

    def outcome(self, error: BaseException | None) -> Answer | NoAnswer:
        """The outcome of a request that was started. ``error`` is the one that it ended with, or None."""
        if error is None:
            return read(self._operation, self._status, self._headers, b"".join(self._parts))
        return NoAnswer(self.overdue or reason(error), maybe_accepted=True)


def reason(error: BaseException) -> str:
    """The name of an error, such as AWS_IO_SOCKET_CONNECTION_REFUSED, or else its text, or else its class."""
    return str(getattr(error, "name", None) or error) or type(error).__name__
