"""AWS's JSON protocol, which EventBridge speaks, as far as the fast transport needs it.

Source: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from http.client import responses
from typing import Any

import orjson
from botocore.model import ServiceModel

from currents_aws.transport import Answer, NoAnswer

# Events may have been taken, and nothing says which: sending them again is what "at least once" asks for.
UNREADABLE = NoAnswer("UnreadableAnswer", maybe_accepted=True)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service: the headers that name it, and whether a success has something to say."""

    headers: tuple[tuple[str, str], ...]
    tells: bool


def operation_of(model: ServiceModel, name: str) -> Operation:
    """The operation called ``name``, such as `PutEvents`. Raises OperationNotFoundError for an unknown one."""
    operation = model.operation_model(name)
    shape = operation.output_shape
    headers = (
        ("Content-Type", f"application/x-amz-json-{model.metadata['jsonVersion']}"),
        ("X-Amz-Target", f"{model.metadata['targetPrefix']}.{name}"),
    )
    return Operation(headers, tells=bool(shape and shape.members))


def read(operation: Operation, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Answer | NoAnswer:
    """What came back. A success that can't be read is no answer; a refusal always is one, if only by its status."""
    output = _parse(body)
    if status < 300:
        return Answer(status, output) if output or not operation.tells else UNREADABLE
    told = next((value for name, value in headers if name.lower() == "x-amzn-errortype"), "")
    code = str(told or output.get("__type") or output.get("code") or status)
    message = str(output.get("message") or output.get("Message") or responses.get(status, ""))
    return Answer(status, code=code.partition(":")[0].rpartition("#")[2], message=message)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        output = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return output if isinstance(output, dict) else {}
