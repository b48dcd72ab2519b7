"""AWS's JSON protocol, which EventBridge speaks, to the extent that the fast transport needs it.

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

# Some events may have been accepted, but nothing says which. "At least once" means sending them again.
UNREADABLE = NoAnswer("UnreadableAnswer", maybe_accepted=True)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service: the headers that name it, and whether its success has an output."""

    headers: tuple[tuple[str, str], ...]
    tells: bool


def operation_of(model: ServiceModel, name: str) -> Operation:
    """The operation called ``name``, such as `PutEvents`. Raises OperationNotFoundError if there is none."""
    operation = model.operation_model(name)
    shape = operation.output_shape
    headers = (
        ("Content-Type", f"application/x-amz-json-{model.metadata['jsonVersion']}"),
        ("X-Amz-Target", f"{model.metadata['targetPrefix']}.{name}"),
    )
    return Operation(headers, tells=bool(shape and shape.members))


def read(operation: Operation, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Answer | NoAnswer:
    """The answer in a response. A success that can't be parsed is no answer; an error always is one, by its status."""
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
