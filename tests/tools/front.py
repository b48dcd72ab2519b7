"""A strict front before moto: holds the limits of PutEvents that moto does not, and records every accepted entry.

Everything else goes to moto as it came. What it has seen is told under `/_front/`.
"""

from __future__ import annotations

import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

import httpx
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

PUT_EVENTS = "AWSEvents.PutEvents"
DESCRIBE_BUS = "AWSEvents.DescribeEventBus"
DELETE_BUS = "AWSEvents.DeleteEventBus"
TIME_BYTES = 14
INT64 = range(-(2**63), 2**63)
REQUIRED = ("Source", "DetailType", "Detail")
TEXTS = (*REQUIRED, "EventBusName", "TraceHeader")

STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
# An integer of fewer than 19 digits is within int64.
MANY_DIGITS = re.compile(r"\d{19}")
LONG_INTEGER = re.compile(r"(?<![\d.eE+-])-?\d{19,}(?![\d.eE])")

# Of one connection only (RFC 9110, 7.6.1), and the length, which is told anew.
HOP_BY_HOP = set(
    b"connection keep-alive te trailer transfer-encoding upgrade expect content-length "
    b"proxy-authenticate proxy-authorization proxy-connection".split()
)
# Looking for a bus costs a request of moto's, so one that was there a moment ago is taken to be there still.
BUS_SECONDS = 1.0

Entry = dict[str, Any]
Result = dict[str, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one PutEvents request may carry; each number is the last that is accepted.

    - entries, and levels of nesting in a Detail, whose outermost object is the first:
      https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
    - bytes, of an entry and of all entries: "less than 1 MB" on the same page can be read both ways. A million bytes is
      the last that is safe however a megabyte is counted
    - characters of a DetailType:
      https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
    - characters of a resource, told of the second generation only:
      https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_PutEventsRequestEntry.html
    """

    max_entries: int = 10
    max_entry_bytes: int = 1_000_000
    max_request_bytes: int = 1_000_000
    max_levels: int = 1_000
    max_detail_type: int = 128
    max_resource: int = 2_048


class Fault(NamedTuple):
    """Why a request, or an entry, is refused.

    Codes: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
    """

    code: str
    message: str


def read_entries(body: bytes) -> list[Entry]:
    """The entries of a request's body. Raises ValueError where its JSON or the types in it are wrong."""
    request = orjson.loads(body)
    entries = request.get("Entries") if isinstance(request, dict) else body
    entries = [] if entries is None else entries
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise ValueError("the body is no PutEvents request")
    return entries


def _is_entry(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    resources = value.get("Resources") or []
    return isinstance(resources, list) and all(
        isinstance(text, str | None) for text in (*resources, *map(value.get, TEXTS))
    )


def entry_size(entry: Entry) -> int:
    """The bytes that EventBridge counts for an entry: 14 for a Time, and the texts in UTF-8.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
    """
    texts = [*map(entry.get, REQUIRED), *(entry.get("Resources") or [])]
    return TIME_BYTES * (entry.get("Time") is not None) + sum(len(text.encode()) for text in texts if text)


def check_request(entries: list[Entry], limits: Limits) -> Fault | None:
    """Why a request is refused as a whole, or None.

    One entry over the limit also costs the whole request: the service answers it with the same ValidationException
    as a total over the limit, never with a result of that entry.
    """
    if not 1 <= len(entries) <= limits.max_entries:
        bound = f"less than or equal to {limits.max_entries}" if entries else "greater than or equal to 1"
        reason = f"failed to satisfy constraint: Member must have length {bound}"
        return Fault("ValidationException", f"1 validation error detected: Value at 'entries' {reason}")
    sizes = [entry_size(entry) for entry in entries]
    if max(sizes) > limits.max_entry_bytes or sum(sizes) > limits.max_request_bytes:
        return Fault("ValidationException", "Total size of the entries in the request is over the limit.")
    return None


def check_entry(entry: Entry, limits: Limits) -> Fault | None:
    """Why a single entry is refused, or None.

    The service answers sources that begin with `aws.` with NotAuthorizedForSourceException, not with InvalidArgument.
    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
    """
    for name in REQUIRED:
        if not entry.get(name):
            return _invalid(name, f"{name} is a required argument.")
    if entry["Source"].startswith("aws."):
        return Fault("NotAuthorizedForSourceException", "Not authorized for the source.")
    if len(entry["DetailType"]) > limits.max_detail_type:
        return _invalid("DetailType", f"It is longer than {limits.max_detail_type} characters.")
    if any(len(resource or "") > limits.max_resource for resource in entry.get("Resources") or []):
        return _invalid("Resources", f"One is longer than {limits.max_resource} characters.")
    return None if is_detail(entry["Detail"], limits) else Fault("MalformedDetail", "Detail is malformed.")


def _invalid(name: str, reason: str) -> Fault:
    return Fault("InvalidArgument", f"Parameter {name} is not valid. Reason: {reason}")


def is_detail(text: str, limits: Limits) -> bool:
    """Whether text is a JSON object without NaN or infinities, with integers in int64, and not nested too deep."""
    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
    if text.count("{") + text.count("[") <= limits.max_levels and not MANY_DIGITS.search(text):
        return is_object
    return is_object and _is_within(STRING.sub("", text), limits)


def _is_within(bare: str, limits: Limits) -> bool:
    """The slow look at JSON without its strings: orjson tells no depth, and makes floats of long integers."""
    steps = (1 if each in "{[" else -1 for each in bare if each in "{[]}")
    integers = LONG_INTEGER.findall(bare)
    return max(accumulate(steps)) <= limits.max_levels and all(int(each) in INT64 for each in integers)


def bus_name(entry: Entry) -> str:
    """The name of the bus that an entry is for; it may be given as an ARN."""
    return str(entry.get("EventBusName") or "default").rpartition("/")[2]


@dataclass
class Record:
    """What the front has seen. ``accepted`` holds lines of JSON, as they are told: a fraction of what dicts take."""

    accepted: list[bytes] = field(default_factory=list)
    requests: int = 0
    rejected: int = 0
    lost: int = 0
    by_bus: Counter[str] = field(default_factory=Counter)
    by_detail_type: Counter[str] = field(default_factory=Counter)

    def settle(self, entries: list[Entry], faults: list[Fault | None], taken: dict[int, Result]) -> list[Result]:
        """Records what became of a request's entries and returns the results, index by index.

        ``taken`` are moto's results, by index. What is neither refused nor taken was for a bus that does not exist:
        the service gives it an id all the same, and loses it.
        """
        results = []
        for index, (entry, fault) in enumerate(zip(entries, faults, strict=True)):
            result = _failure(fault) if fault else taken.get(index) or {"EventId": str(uuid.uuid4())}
            results.append(result)
            if "ErrorCode" in result:
                self.rejected += 1
            elif index in taken:
                self._accept(entry)
            else:
                self.lost += 1
        return results

    def _accept(self, entry: Entry) -> None:
        bus = bus_name(entry)
        self.accepted.append(orjson.dumps({"number": len(self.accepted) + 1, "bus": bus, "entry": entry}) + b"\n")
        self.by_bus[bus] += 1
        self.by_detail_type[entry["DetailType"]] += 1

    def counts(self) -> dict[str, Any]:
        """The record in numbers: of requests, and of entries."""
        return {**vars(self), "accepted": len(self.accepted)}


class Moto:
    """The moto server at ``url``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=256))
        self._timeout = httpx.Timeout(120).as_dict()
        self._buses: dict[tuple[str, str], float] = {}
        self.close = self._client.aclose

    async def send(self, request: Request, body: bytes, *, target: str | None = None) -> Response:
        """Hands a request on, byte for byte: the path is not normalised, and no header is added but the length.

        ``target`` replaces the operation; moto checks no signatures.
        """
        query = request.scope["query_string"]
        path = request.scope["raw_path"] + (b"?" + query if query else b"")
        headers = [(name, value) for name, value in request.headers.raw if name not in HOP_BY_HOP]
        if target:
            headers = [(name, target.encode() if name == b"x-amz-target" else value) for name, value in headers]
        extensions = {"target": path, "timeout": self._timeout}
        sent = httpx.Request(request.method, self._url, headers=headers, content=body, extensions=extensions)
        found = await self._client.send(sent, stream=True)
        content = b"".join([part async for part in found.aiter_raw()])
        await found.aclose()
        response = Response(content, found.status_code)
        told = [(name.lower(), value) for name, value in found.headers.raw]
        response.raw_headers = [(name, value) for name, value in told if name not in HOP_BY_HOP]
        # A HEAD has no body to measure: its length is the object's, as moto told it.
        length = found.headers.get("content-length", "0") if request.method == "HEAD" else str(len(content))
        response.raw_headers.append((b"content-length", length.encode()))
        return response

    async def has_bus(self, request: Request, name: str) -> bool:
        """Whether a bus exists in the region, and for the credentials, of a request."""
        key = (request.headers.get("authorization", "").partition(",")[0], name)
        if time.monotonic() - self._buses.get(key, -BUS_SECONDS) < BUS_SECONDS:
            return True
        found = await self.send(request, orjson.dumps({"Name": name}), target=DESCRIBE_BUS)
        if found.status_code == 200:
            self._buses[key] = time.monotonic()
        elif b"ResourceNotFoundException" not in found.body:
            raise HTTPException(found.status_code, f"DescribeEventBus of {name} failed")
        return found.status_code == 200

    def forget_buses(self) -> None:
        """Looks for every bus anew."""
        self._buses.clear()


class Front:
    """The handlers of the front, and its record."""

    def __init__(self, moto: Moto, limits: Limits) -> None:
        self._moto = moto
        self._limits = limits
        self._record = Record()

    async def counts(self, _request: Request) -> Response:
        """The record in numbers, as JSON."""
        return Response(orjson.dumps(self._record.counts()), media_type="application/json")

    async def accepted(self, request: Request) -> Response:
        """Accepted entries, in order, as JSON lines of number, bus and entry: those after number `after`."""
        after, limit = _number(request, "after", 0), _number(request, "limit", len(self._record.accepted))
        return Response(b"".join(self._record.accepted[after : after + limit]), media_type="application/x-ndjson")

    async def reset(self, _request: Request) -> Response:
        """Begins the record anew; numbers begin with 1 again."""
        self._record = Record()
        return Response(status_code=204)

    async def aws(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Any call of AWS's."""
        request = Request(scope, receive)
        body, target = await request.body(), request.headers.get("x-amz-target")
        answer = await (self._put_events(request, body) if target == PUT_EVENTS else self._moto.send(request, body))
        if target == DELETE_BUS:
            self._moto.forget_buses()
        await answer(scope, receive, send)

    async def _put_events(self, request: Request, body: bytes) -> Response:
        record = self._record
        record.requests += 1
        try:
            entries = read_entries(body)
        except ValueError as error:
            return _refusal(Fault("SerializationException", str(error)))
        fault = check_request(entries, self._limits)
        if fault:
            record.rejected += len(entries)
            return _refusal(fault)
        faults = [check_entry(entry, self._limits) for entry in entries]
        buses = {bus_name(entry) for entry, each in zip(entries, faults, strict=True) if not each}
        there = {name for name in buses if await self._moto.has_bus(request, name)}
        kept = [index for index, entry in enumerate(entries) if not faults[index] and bus_name(entry) in there]
        taken: dict[int, Result] = {}
        if kept:
            answer = await self._moto.send(request, orjson.dumps({"Entries": [entries[index] for index in kept]}))
            if answer.status_code != 200:
                return answer
            taken = dict(zip(kept, orjson.loads(answer.body)["Entries"], strict=True))
        results = record.settle(entries, faults, taken)
        failed = sum("ErrorCode" in result for result in results)
        return _json({"FailedEntryCount": failed, "Entries": results})


def _failure(fault: Fault) -> Result:
    return {"ErrorCode": fault.code, "ErrorMessage": fault.message}


def _refusal(fault: Fault) -> Response:
    """A request refused as a whole, in the form of AWS JSON 1.1."""
    response = _json({"__type": fault.code, "message": fault.message}, 400)
    response.headers["x-amzn-errortype"] = fault.code
    return response


def _json(content: Any, status: int = 200) -> Response:
    headers = {"x-amzn-requestid": str(uuid.uuid4())}
    return Response(orjson.dumps(content), status, headers=headers, media_type="application/x-amz-json-1.1")


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal():
        raise HTTPException(400, f"{name} must be a number from 0 on, not {text}")
    return int(text)


def make_front(moto_url: str, *, max_entry_bytes: int = 1_000_000, max_request_bytes: int = 1_000_000) -> Starlette:
    """The application, before the moto server at ``moto_url``.

    - GET /_front/counts
    - GET /_front/accepted?after=N&limit=M
    - DELETE /_front/accepted
    """
    moto = Moto(moto_url)
    front = Front(moto, Limits(max_entry_bytes=max_entry_bytes, max_request_bytes=max_request_bytes))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await moto.close()

    app = Starlette(
        routes=[
            Route("/_front/counts", front.counts),
            Route("/_front/accepted", front.accepted),
            Route("/_front/accepted", front.reset, methods=["DELETE"]),
        ],
        lifespan=lifespan,
    )
    # No route for the rest: routes match the decoded path, and some keys of S3 match none.
    app.router.default = front.aws
    app.router.redirect_slashes = False
    return app
