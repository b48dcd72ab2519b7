"""One request on its way through AWS's Common Runtime, and what has come back of it so far."""

from __future__ import annotations

from typing import Any

from awscrt.http import HttpClientConnection, HttpRequest

from currents_aws.aws_json import Operation, read
from currents_aws.transport import Answer, Completion, NoAnswer


class Exchange:
    """A request, from being sent until its ``complete`` was called. The transport's lock guards its fields.

    ``deadline`` is on the monotonic clock; ``connection`` is None until there is one; ``overdue`` is empty, or says why
    the request was given up.
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
        """Takes the head of the answer, from the runtime."""
        self._status, self._headers = status_code, headers

    def on_body(self, *, chunk: bytes, **_: Any) -> None:
        """Takes a part of the answer's body, from the runtime."""
        self._parts.append(chunk)

    def outcome(self, error: BaseException | None) -> Answer | NoAnswer:
        """What came of the request, which began to be sent and ended with ``error`` or well."""
        if error is None:
            return read(self._operation, self._status, self._headers, b"".join(self._parts))
        return NoAnswer(self.overdue or reason(error), maybe_accepted=True)


def reason(error: BaseException) -> str:
    """The name of a failure, such as AWS_IO_SOCKET_CONNECTION_REFUSED; where it has none, what it says."""
    return str(getattr(error, "name", None) or error) or type(error).__name__
