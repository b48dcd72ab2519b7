"""The three protocols of what the front models: how a request's content is read and how it is answered.

- AWS JSON 1.1: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
- Smithy RPC v2 CBOR: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
- AWS REST JSON: https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
"""

from __future__ import annotations

import io
import uuid
from datetime import datetime
from typing import Any, Protocol

import cbor2
import orjson
from starlette.responses import Response

from tests.tools.front_rules import Fault


class Refused(Exception):  # noqa: N818 - it is an answer, not an error of the front
    """A request is answered with a fault instead."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.fault = Fault(code, message)
        self.status = status


class Wire(Protocol):
    """A protocol. ``statuses`` are those of a service's errors by code; what has none is answered 400."""

    name: str

    def read(self, body: bytes) -> dict[str, Any]:
        """The content of a request. Raises Refused where the body holds none."""

    def answer(self, content: dict[str, Any], status: int = 200) -> Response:
        """An answer; times in it are datetimes."""

    def refuse(self, fault: Fault, status: int | None = None) -> Response:
        """A request refused as a whole."""


def _headers(**more: str) -> dict[str, str]:
    return {"x-amzn-requestid": str(uuid.uuid4())} | {name.replace("_", "-"): value for name, value in more.items()}


def _content(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise Refused("SerializationException", "The content of a request must be a structure.")
    return found


def _json(body: bytes) -> dict[str, Any]:
    try:
        return _content(orjson.loads(body or b"{}"))
    except orjson.JSONDecodeError as error:
        raise Refused("SerializationException", str(error)) from error


def member(body: bytes, name: str) -> Any:
    """A member of the content of a body in JSON; None where there is none, also of a body that is no JSON."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found.get(name) if isinstance(found, dict) else None


class JsonWire:
    """AWS JSON 1.1: times are seconds since 1970."""

    name = "json"

    def __init__(self, statuses: dict[str, int] | None = None) -> None:
        self._statuses = statuses or {}

    def read(self, body: bytes) -> dict[str, Any]:
        """The content of a request."""
        return _json(body)

    def answer(self, content: dict[str, Any], status: int = 200) -> Response:
        """An answer."""
        body = orjson.dumps(content, datetime.timestamp, orjson.OPT_PASSTHROUGH_DATETIME)
        return Response(body, status, _headers(), media_type="application/x-amz-json-1.1")

    def refuse(self, fault: Fault, status: int | None = None) -> Response:
        """A request refused as a whole."""
        told = {"__type": fault.code, "message": fault.message}
        response = self.answer(told, status or self._statuses.get(fault.code, 400))
        response.headers["x-amzn-errortype"] = fault.code
        return response


class CborWire:
    """Smithy RPC v2 CBOR: errors are told in the body alone, by their full names."""

    name = "smithy-rpc-v2-cbor"

    def __init__(self, statuses: dict[str, int], namespace: str) -> None:
        self._statuses = statuses
        self._namespace = namespace

    def read(self, body: bytes) -> dict[str, Any]:
        """The content of a request. Raises Refused also where something follows it."""
        stream = io.BytesIO(body)
        try:
            found = cbor2.load(stream)
        except (cbor2.CBORDecodeError, ValueError, RecursionError) as error:
            raise Refused("SerializationException", f"The body is no CBOR: {type(error).__name__}.") from error
        if stream.tell() != len(body):
            raise Refused("SerializationException", "Something follows the content of the request.")
        return _content(found)

    def answer(self, content: dict[str, Any], status: int = 200) -> Response:
        """An answer."""
        body = cbor2.dumps(content, datetime_as_timestamp=True)
        return Response(body, status, _headers(smithy_protocol="rpc-v2-cbor"), media_type="application/cbor")

    def refuse(self, fault: Fault, status: int | None = None) -> Response:
        """A request refused as a whole."""
        told = {"__type": f"{self._namespace}#{fault.code}", "Message": fault.message}
        return self.answer(told, status or self._statuses.get(fault.code, 400))


class RestWire:
    """AWS REST JSON: times are ISO 8601, and an error's code stands in a header as well."""

    name = "rest-json"

    def __init__(self, statuses: dict[str, int]) -> None:
        self._statuses = statuses

    def read(self, body: bytes) -> dict[str, Any]:
        """The content of a request."""
        return _json(body)

    def answer(self, content: dict[str, Any], status: int = 200) -> Response:
        """An answer; 204 has no content."""
        body = b"" if status == 204 else orjson.dumps(content)
        return Response(body, status, _headers(), media_type="application/json")

    def refuse(self, fault: Fault, status: int | None = None) -> Response:
        """A request refused as a whole."""
        told = {"Code": fault.code, "Message": fault.message}
        response = self.answer(told, status or self._statuses.get(fault.code, 400))
        response.headers["x-amzn-errortype"] = fault.code
        return response
