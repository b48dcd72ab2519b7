"""AWS's protocols of requests, to the extent that the transports need them: JSON, and CBOR for custom buses.

Source: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html and
https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import responses
from typing import Any

import cbor2
import orjson
from botocore.model import ServiceModel

from currents_aws.transport import Answer, NoAnswer

# Some events may have been accepted, but nothing says which. "At least once" means sending them again.
UNREADABLE = NoAnswer("UnreadableAnswer", maybe_accepted=True)

_EPOCH_TAG = 1


def from_cbor(body: bytes | memoryview) -> Any:
    """The value in CBOR. A time is the number that it is, in seconds since the epoch: a date ends with year 9999.

    Raises CBORDecodeError.
    """
    return cbor2.loads(bytes(body), semantic_decoders={_EPOCH_TAG: lambda seconds, _immutable: seconds})


_JSON, _CBOR = "json", "smithy-rpc-v2-cbor"
_LOADS: dict[str, Callable[[bytes], Any]] = {_JSON: orjson.loads, _CBOR: from_cbor}
PROTOCOLS = frozenset(_LOADS)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service: what names it in a request, and whether its success has an output.

    ``path`` follows that of the endpoint, which ends in a slash. ``loads`` parses a body.
    """

    path: str
    headers: tuple[tuple[str, str], ...]
    tells: bool
    loads: Callable[[bytes], Any]


def operation_of(model: ServiceModel, name: str) -> Operation:
    """The operation called ``name``, such as `PutEvents`, of a service that speaks one of PROTOCOLS.

    Raises OperationNotFoundError if there is none.
    """
    operation = model.operation_model(name)
    shape, prefix = operation.output_shape, model.metadata["targetPrefix"]
    tells, loads = bool(shape and shape.members), _LOADS[model.resolved_protocol]
    if model.resolved_protocol == _CBOR:
        cbor = "application/cbor"
        headers = (("smithy-protocol", "rpc-v2-cbor"), ("Accept", cbor), ("Content-Type", cbor))
        return Operation(f"service/{prefix}/operation/{name}", headers, tells, loads)
    content = ("Content-Type", f"application/x-amz-json-{model.metadata['jsonVersion']}")
    return Operation("", (content, ("X-Amz-Target", f"{prefix}.{name}")), tells, loads)


def parameters(model: ServiceModel, body: bytes) -> dict[str, Any]:
    """The parameters of an operation that a request's body has."""
    return dict(_LOADS[model.resolved_protocol](body))


def read(operation: Operation, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Answer | NoAnswer:
    """The answer in a response. A success that can't be parsed is no answer; an error always is one, by its status."""
    output = _parse(operation, body)
    if status < 300:
        return Answer(status, output) if output or not operation.tells else UNREADABLE
    told = next((value for name, value in headers if name.lower() == "x-amzn-errortype"), "")
    code = str(told or output.get("__type") or output.get("code") or status)
    message = str(output.get("message") or output.get("Message") or responses.get(status, ""))
    return Answer(status, code=code.partition(":")[0].rpartition("#")[2], message=message)


def _parse(operation: Operation, body: bytes) -> dict[str, Any]:
    try:
        output = operation.loads(body)
    except (orjson.JSONDecodeError, cbor2.CBORDecodeError):
        return {}
    return output if isinstance(output, dict) else {}
