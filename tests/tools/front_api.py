"""A service that the front models: its requests are read, checked and answered by botocore's model of it."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote

from botocore.model import OperationModel, ServiceModel
from starlette.requests import Request
from starlette.types import ASGIApp

from tests.tools.front_put import Put, Puts
from tests.tools.front_shape import operation_model, problems, service_model
from tests.tools.front_signature import check_signature
from tests.tools.front_wire import CborWire, JsonWire, Refused, RestWire, Wire

# Of the one account that local AWS has, which is moto's.
ACCOUNT = "123456789012"
# How much a list tells at once where nothing is asked for.
PAGE = 100

Item = TypeVar("Item")


@dataclass(frozen=True)
class Call:
    """A request that is signed and fits its model: what it asks, by the names on the wire, and of which region.

    ``invalid`` is the code that refuses a parameter that fits the model and is wrong all the same.
    """

    parameters: dict[str, Any]
    region: str
    request: Request
    body: bytes
    invalid: str

    def __getitem__(self, name: str) -> Any:
        return self.parameters[name]

    def get(self, name: str) -> Any:
        """A parameter that may be left out."""
        return self.parameters.get(name)

    def chosen(self, *names: str) -> dict[str, Any]:
        """Those of the named parameters that are given."""
        return only(self.parameters, names)


Handler = Callable[[Call], Awaitable[dict[str, Any] | ASGIApp]]
PutMaker = Callable[[bytes, str], Put]


@dataclass(frozen=True)
class Api:
    """The operations of a service that are modelled. What else the model has is answered as not implemented.

    - handlers: by the operation's name. Each returns what is answered, or an answer as it is, and may raise Refused
    - puts: what puts events in a region, by the operation's name; it has its own rules for what it carries
    - invalid: the code that answers a request that does not fit the model
    """

    service: str
    signing_name: str
    wire: Wire
    invalid: str
    handlers: Mapping[str, Handler]
    course: Puts | None = None
    puts: Mapping[str, PutMaker] = field(default_factory=dict)

    async def answer(self, request: Request, body: bytes, operation: str, place: dict[str, Any]) -> ASGIApp:
        """The answer to a request; ``place`` are the parameters that its path and query tell."""
        try:
            region = check_signature(request, body, self.signing_name)
            if operation in self.puts and self.course:
                return await self.course.befall(self.puts[operation](body, region))
            model = self._operation(operation)
            parameters = self.wire.read(body) | place
            check_shape(parameters, model, self.wire, self.invalid)
            found = await self.handlers[operation](Call(parameters, region, request, body, self.invalid))
        except Refused as refused:
            return self.wire.refuse(refused.fault, refused.status)
        return found if callable(found) else self.wire.answer(found, model.http.get("responseCode", 200))

    async def answer_path(self, request: Request, body: bytes) -> ASGIApp:
        """The answer to a request whose operation is told by its method and path."""
        path = request.scope["raw_path"].decode("latin-1")
        try:
            operation, place = rest_place(service_model(self.service), request.method, path, request.query_params)
        except Refused as refused:
            return self.wire.refuse(refused.fault, refused.status)
        return await self.answer(request, body, operation, place)

    def _operation(self, name: str) -> OperationModel:
        model = service_model(self.service)
        if name not in model.operation_names:
            raise Refused("UnknownOperationException", f"There is no operation {name}.", 404)
        if name not in self.handlers:
            raise Refused("NotImplementedException", f"Local AWS does not model {name} of {self.service}.", 501)
        return operation_model(self.service, name)


def check_shape(parameters: dict[str, Any], model: OperationModel, wire: Wire, code: str) -> None:
    """Raises Refused, with a code and the first problem, where parameters do not fit an operation."""
    if model.input_shape is None:
        return
    for problem in problems(parameters, model.input_shape, wire.name):
        raise Refused(code, f"{problem.text}.")


class Tokens:
    """What was answered under each client token: a request that is sent again creates nothing twice."""

    def __init__(self) -> None:
        self._noted: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {}

    def answered(self, call: Call) -> dict[str, Any] | None:
        """What a request with the same token was answered. Raises Refused where it asked for something else."""
        told = self._noted.get((call.region, call.get("ClientToken") or ""))
        if told and told[0] != call.parameters:
            raise Refused("IdempotentParameterMismatchException", "The client token was used with other parameters.")
        return told[1] if told else None

    def note(self, call: Call, answer: dict[str, Any]) -> dict[str, Any]:
        """Keeps an answer and returns it."""
        if call.get("ClientToken"):
            self._noted[call.region, call["ClientToken"]] = (call.parameters, answer)
        return answer


def new_arn(kind: str, call: Call) -> str:
    """The ARN of a new resource of the second generation, which ends with 25 characters of its own."""
    letters = string.ascii_lowercase + string.digits
    unique = "".join(secrets.choice(letters) for _ in range(25))
    return f"arn:aws:events:{call.region}:{ACCOUNT}:{kind}/{call['Name']}/{unique}"


def only(told: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those members of a structure that are named."""
    return {name: told[name] for name in names if name in told}


def wire_of(service: str) -> Wire:
    """The protocol that a service's model names, with the status of each error of the service."""
    model = service_model(service)
    statuses = {
        shape.name: shape.metadata["error"]["httpStatusCode"]
        for shape in model.error_shapes
        if "httpStatusCode" in shape.metadata.get("error", {})
    }
    if model.metadata["protocol"] == CborWire.name:
        return CborWire(statuses, f"com.amazonaws.{service}")
    return RestWire(statuses) if model.metadata["protocol"] == RestWire.name else JsonWire(statuses)


def page(items: Sequence[Item], call: Call, limit: str, token: str = "NextToken") -> tuple[list[Item], dict[str, str]]:
    """A page of a list, and where the next begins if there is one; the parameters' names differ by service."""
    begin = call.get(token) or "0"
    if not begin.isdecimal():
        raise Refused(call.invalid, f"{token} is none that was told.")
    end = int(begin) + (call.get(limit) or PAGE)
    return list(items[int(begin) : end]), {"NextToken": str(end)} if end < len(items) else {}


def rest_place(model: ServiceModel, method: str, path: str, query: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The operation that a path is of, and the parameters in path and query. Raises Refused where it is of none."""
    for name in model.operation_names:
        operation = model.operation_model(name)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", operation.http["requestUri"])
        told = re.fullmatch(pattern, path)
        if told and method == operation.http["method"]:
            found = {key: unquote(value) for key, value in told.groupdict().items()}
            return name, found | _in_query(operation, query)
    raise Refused("UnknownOperationException", f"There is no operation {method} {path}.", 404)


def _in_query(operation: OperationModel, query: Mapping[str, str]) -> dict[str, Any]:
    """The parameters that an operation has in its query; a number that is none stays text, which fits no model."""
    members = operation.input_shape.members.values() if operation.input_shape else ()
    types = {
        member.serialization["name"]: member.type_name
        for member in members
        if member.serialization.get("location") == "querystring"
    }
    told = {name: value for name, value in query.items() if name in types}
    return {
        name: int(value) if types[name] == "integer" and value.isdecimal() else value for name, value in told.items()
    }
