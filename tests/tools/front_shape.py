"""Values against the shapes of botocore's service models: every member, type, length, pattern and enumeration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from botocore.model import OperationModel, ServiceModel
from botocore.session import get_session

# What a value of each type is in Python. A boolean is an int of Python's, but no integer of a model.
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "blob": (bytes,),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
}
# A time is a number in JSON 1.1, text in REST JSON, and decoded by the library in CBOR.
TIMES = {"json": (float, int), "rest-json": (str,), "smithy-rpc-v2-cbor": (datetime,)}


@cache
def service_model(service: str) -> ServiceModel:
    """The model of a service, by the name that boto3 has for it."""
    return get_session().get_service_model(service)


@cache
def operation_model(service: str, name: str) -> OperationModel:
    """The model of an operation: one object, as are its shapes, where the library makes others with each question."""
    return service_model(service).operation_model(name)


@cache
def _members(shape: Any) -> dict[str, Any]:
    """The members of a structure by their names on the wire, which differ from the model's at times."""
    return {member.serialization.get("name", name): member for name, member in shape.members.items()}


@cache
def _required(shape: Any) -> frozenset[str]:
    return frozenset(shape.members[name].serialization.get("name", name) for name in shape.required_members)


class Problem(NamedTuple):
    """What is wrong with a member, in a line that names it; a bound is a length, a number, a pattern or a choice."""

    text: str
    is_bound: bool = False


def problems(value: Any, shape: Any, protocol: str, name: str = "") -> Iterator[Problem]:
    """What is wrong with a value as it is on the wire of a protocol."""
    kind = shape.type_name
    if not _is(value, kind, protocol):
        yield Problem(f"{name or 'The value'} must be a {kind}, not {type(value).__name__}")
        return
    yield from _bounds(value, shape, name)
    if kind == "structure":
        yield from _structure(value, shape, protocol, name)
    elif kind == "list":
        for index, item in enumerate(value):
            yield from problems(item, shape.member, protocol, f"{name}[{index}]")
    elif kind == "map":
        for key, item in value.items():
            yield from problems(key, shape.key, protocol, f"a key of {name}")
            yield from problems(item, shape.value, protocol, f"{name}[{key}]")


def _is(value: Any, kind: str, protocol: str) -> bool:
    types = TIMES[protocol] if kind == "timestamp" else TYPES[kind]
    return isinstance(value, types) and (kind == "boolean" or not isinstance(value, bool))


def _structure(value: dict[str, Any], shape: Any, protocol: str, name: str) -> Iterator[Problem]:
    members = _members(shape)
    for key in sorted(_required(shape) - value.keys()):
        yield Problem(f"{name}.{key} is missing".lstrip("."))
    for key, item in value.items():
        if key in members:
            yield from problems(item, members[key], protocol, f"{name}.{key}".lstrip("."))
        else:
            yield Problem(f"{name}.{key} is no member of {shape.name}".lstrip("."))


def _bounds(value: Any, shape: Any, name: str) -> Iterator[Problem]:
    told = shape.metadata
    size = len(value) if isinstance(value, str | bytes | list | dict) else value
    if "min" in told and size < told["min"]:
        yield Problem(f"{name} is under its minimum of {told['min']}", is_bound=True)
    if "max" in told and size > told["max"]:
        yield Problem(f"{name} is over its maximum of {told['max']}", is_bound=True)
    if "pattern" in told and not re.fullmatch(told["pattern"], value):
        yield Problem(f"{name} does not match {told['pattern']}", is_bound=True)
    if "enum" in told and value not in told["enum"]:
        yield Problem(f"{name} is none of {', '.join(told['enum'])}", is_bound=True)
