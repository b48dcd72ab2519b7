"""A strict front before moto: holds the limits of PutEvents that moto does not, and records every accepted entry.

Everything else goes to moto as it came. What it has seen is told under `/_front/`. By a plan, it also does what a
service far away does at times: throttles, fails, is slow, and closes connections.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import Counter, defaultdict
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
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from tests.tools.fault_plan import Decision, FaultCourse, FaultPlan, read_plan

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
# Where 19 digits follow each other, so do three among every sixth character: a sixth of the text is soon searched.
SIXTH = 6
SOME_DIGITS = re.compile(r"\d{3}")
LONG_INTEGER = re.compile(r"(?<![\d.eE+-])-?\d{19,}(?![\d.eE])")

# Of one connection only (RFC 9110, 7.6.1), and the length, which is told anew.
HOP_BY_HOP = set(
    b"connection keep-alive te trailer transfer-encoding upgrade expect content-length "
    b"proxy-authenticate proxy-authorization proxy-connection".split()
)
# Looking for a bus costs a request of moto's, so one that was there a moment ago is taken to be there still.
BUS_SECONDS = 1.0

SLOW_DOWN = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message><RequestId>0</RequestId></Error>"""

Entry = dict[str, Any]
BusKey = tuple[str, str]
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
    """Why a request, or an entry, is refused; ``planned`` names what in the plan had it so, if anything.

    Codes: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
    """

    code: str
    message: str
    planned: str | None = None


# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html
DENIED = Fault("AccessDeniedException", "User is not authorized to perform: events:PutEvents")
THROTTLED = Fault("ThrottlingException", "Rate exceeded")
SERVER_ERRORS = {
    500: Fault("InternalException", "This exception occurs due to unexpected causes."),
    503: Fault("ServiceUnavailable", "The request has failed due to a temporary failure of the server."),
}
PLANNED_ENTRIES = {
    fault.planned: fault
    for fault in (
        Fault("ThrottlingException", "Rate exceeded", "entry_throttle"),
        Fault("InternalFailure", "Internal failure", "entry_failure"),
        Fault("MalformedDetail", "Detail is malformed.", "entry_refusal"),
    )
}


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
    if text.count("{") + text.count("[") <= limits.max_levels and not _has_many_digits(text):
        return is_object
    return is_object and _is_within(STRING.sub("", text), limits)


def _has_many_digits(text: str) -> bool:
    return bool(SOME_DIGITS.search(text[::SIXTH]) and MANY_DIGITS.search(text))


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
    """What the front has seen.

    - accepted: lines of JSON, as they are told: a fraction of what dicts take
    - arrivals: of each PutEvents request, when it came by the monotonic clock, its entries, and how many were accepted
    - rejected: entries that break a rule, or that moto did not take
    - faults: how often what befell a request, or an entry, by plan
    """

    accepted: list[bytes] = field(default_factory=list)
    arrivals: list[list[float]] = field(default_factory=list)
    requests: int = 0
    rejected: int = 0
    lost: int = 0
    by_bus: Counter[str] = field(default_factory=Counter)
    by_detail_type: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def arrive(self) -> list[float]:
        """Records that a PutEvents request came. Its entries, and how many were accepted, are for the caller to set."""
        self.requests += 1
        self.arrivals.append([time.monotonic(), 0, 0])
        return self.arrivals[-1]

    def answer(
        self, entries: list[Entry], faults: list[Fault | None], taken: dict[int, Result], marks: dict[str, bool]
    ) -> list[Result]:
        """Records what became of a request's entries and returns the results, index by index.

        ``taken`` are moto's results, by index. What is neither refused nor taken was for a bus that does not exist:
        the service gives it an id all the same, and loses it. ``marks`` go with the lines of what is accepted.
        """
        results = []
        for index, (entry, fault) in enumerate(zip(entries, faults, strict=True)):
            result = _failure(fault) if fault else taken.get(index) or _success()
            results.append(result)
            if fault and fault.planned:
                self.faults[fault.planned] += 1
            elif "ErrorCode" in result:
                self.rejected += 1
            elif index in taken:
                self._accept(entry, marks)
            else:
                self.lost += 1
        return results

    def _accept(self, entry: Entry, marks: dict[str, bool]) -> None:
        bus = bus_name(entry)
        line = {"number": len(self.accepted) + 1, "bus": bus, "entry": entry, **marks}
        self.accepted.append(orjson.dumps(line) + b"\n")
        self.by_bus[bus] += 1
        self.by_detail_type[entry["DetailType"]] += 1

    def counts(self) -> dict[str, Any]:
        """The record in numbers: of requests, of entries, and of faults by plan."""
        told = {name: value for name, value in vars(self).items() if name != "arrivals"}
        return {**told, "accepted": len(self.accepted)}


class Moto:
    """The moto server at ``url``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=256))
        self._timeout = httpx.Timeout(120).as_dict()
        self._buses: dict[BusKey, float] = {}
        self._looks: defaultdict[BusKey, asyncio.Lock] = defaultdict(asyncio.Lock)
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
        if self._is_known(key):
            return True
        # Of many requests that find the bus forgotten at once, one looks for it.
        async with self._looks[key]:
            return self._is_known(key) or await self._look(request, key)

    def _is_known(self, key: BusKey) -> bool:
        return time.monotonic() - self._buses.get(key, -BUS_SECONDS) < BUS_SECONDS

    async def _look(self, request: Request, key: BusKey) -> bool:
        _, name = key
        found = await self.send(request, orjson.dumps({"Name": name}), target=DESCRIBE_BUS)
        if found.status_code == 200:
            self._buses[key] = time.monotonic()
        elif b"ResourceNotFoundException" not in found.body:
            raise HTTPException(found.status_code, f"DescribeEventBus of {name} failed")
        return found.status_code == 200

    def forget_buses(self) -> None:
        """Looks for every bus anew."""
        self._buses.clear()


class CuttableProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's protocol, with what closes the connection of a request in its scope: ASGI itself has no way to."""

    app: ASGIApp

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Has every request of the connection carry what closes it."""
        super().connection_made(transport)
        app = self.app

        async def cuttable(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})["cut"] = {"close": transport.abort}
            await app(scope, receive, send)

        self.app = cuttable


async def cut(scope: Scope, receive: Receive, _send: Send) -> None:
    """In place of an answer: closes the connection before any byte of one. It takes CuttableProtocol to do so."""
    scope["extensions"]["cut"]["close"]()
    # The server would answer 500 if this ended before it knew that the connection is gone.
    while (await receive())["type"] != "http.disconnect":
        pass


class Front:
    """The handlers of the front, its record, and the faults it is to make."""

    def __init__(self, moto: Moto, limits: Limits) -> None:
        self._moto = moto
        self._limits = limits
        self._record = Record()
        self._course = FaultCourse(FaultPlan())

    async def counts(self, _request: Request) -> Response:
        """The record in numbers, as JSON."""
        return Response(orjson.dumps(self._record.counts()), media_type="application/json")

    async def accepted(self, request: Request) -> Response:
        """Accepted entries, in order, as JSON lines of number, bus and entry: those after number `after`.

        Where the sender may not have learned of it, the line also has `"cut": true`, or `"slow": true`.
        """
        after, limit = _number(request, "after", 0), _number(request, "limit", len(self._record.accepted))
        return Response(b"".join(self._record.accepted[after : after + limit]), media_type="application/x-ndjson")

    async def arrivals(self, _request: Request) -> Response:
        """Every PutEvents request, as JSON lists of its time on the monotonic clock, entries, and those accepted."""
        return Response(orjson.dumps(self._record.arrivals), media_type="application/json")

    async def reset(self, _request: Request) -> Response:
        """Begins the record anew; numbers begin with 1 again, and nothing goes wrong by plan any more."""
        self._record = Record()
        self._course = FaultCourse(FaultPlan())
        return Response(status_code=204)

    async def set_faults(self, request: Request) -> Response:
        """Has happen from here on what the plan in the body tells; the record goes on."""
        try:
            self._course = FaultCourse(read_plan(await request.body()))
        except ValueError as error:
            return Response(str(error), 400)
        return Response(status_code=204)

    async def clear_faults(self, _request: Request) -> Response:
        """Has nothing go wrong by plan any more; the record goes on."""
        self._course = FaultCourse(FaultPlan())
        return Response(status_code=204)

    async def aws(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Any call of AWS's."""
        request = Request(scope, receive)
        body, target = await request.body(), request.headers.get("x-amz-target")
        answer = await self._answer(request, body, target)
        if target == DELETE_BUS:
            self._moto.forget_buses()
        await answer(scope, receive, send)

    async def _answer(self, request: Request, body: bytes, target: str | None) -> ASGIApp:
        if target == PUT_EVENTS:
            return await self._befall(request, body)
        if target is None and self._course.next_s3(request.method, request.scope["path"]):
            self._record.faults["s3_unavailable"] += 1
            return Response(SLOW_DOWN, 503, media_type="application/xml")
        return await self._moto.send(request, body)

    async def _befall(self, request: Request, body: bytes) -> ASGIApp:
        """PutEvents, and what the plan has befall it."""
        record, plan, decision = self._record, self._course.plan, self._course.next_request()
        happens = (decision.fault, "slow" if decision.wait else None)
        record.faults.update(name for name in happens if name)
        answer = await self._put_events(request, body, plan, decision)
        if decision.wait:
            await asyncio.sleep(decision.wait)
        return cut if decision.fault in ("cut_before", "cut_after") else answer

    async def _put_events(self, request: Request, body: bytes, plan: FaultPlan, decision: Decision) -> Response:
        record = self._record
        arrival = record.arrive()
        try:
            entries = read_entries(body)
        except ValueError as error:
            return _refusal(Fault("SerializationException", str(error)))
        arrival[1] = len(entries)
        if decision.fault not in (None, "cut_after"):
            return _planned(decision)
        fault = check_request(entries, self._limits)
        if fault:
            record.rejected += len(entries)
            return _refusal(fault)
        if any(entry.get("DetailType") == plan.denied_detail_type for entry in entries):
            return _refusal(DENIED)
        faults = self._check(entries, plan, decision)
        taken = await self._take(request, entries, faults, hold=plan.hold)
        if isinstance(taken, Response):
            return taken
        before = len(record.accepted)
        results = record.answer(entries, faults, taken, decision.marks())
        arrival[2] = len(record.accepted) - before
        failed = sum("ErrorCode" in result for result in results)
        return _json({"FailedEntryCount": failed, "Entries": results})

    def _check(self, entries: list[Entry], plan: FaultPlan, decision: Decision) -> list[Fault | None]:
        """Why each entry is refused, by the rules or else by the plan, or None."""

        def planned(index: int, entry: Entry) -> Fault | None:
            return PLANNED_ENTRIES.get(plan.decide_entry(decision.number, index, entry["Detail"]))

        return [check_entry(entry, self._limits) or planned(index, entry) for index, entry in enumerate(entries)]

    async def _take(
        self, request: Request, entries: list[Entry], faults: list[Fault | None], *, hold: bool
    ) -> dict[int, Result] | Response:
        """The results of entries on buses that exist, by index: moto's, or those of the front if it is to hold them.

        Where moto fails, its answer.
        """
        buses = {bus_name(entry) for entry, fault in zip(entries, faults, strict=True) if not fault}
        there = {name for name in buses if await self._moto.has_bus(request, name)}
        kept = [index for index, entry in enumerate(entries) if not faults[index] and bus_name(entry) in there]
        if hold or not kept:
            return {index: _success() for index in kept}
        answer = await self._moto.send(request, orjson.dumps({"Entries": [entries[index] for index in kept]}))
        if answer.status_code != 200:
            return answer
        return dict(zip(kept, orjson.loads(answer.body)["Entries"], strict=True))


def _success() -> Result:
    return {"EventId": str(uuid.uuid4())}


def _planned(decision: Decision) -> Response:
    """What answers a request of which nothing is accepted by plan."""
    if decision.fault == "throttle":
        return _refusal(THROTTLED)
    return _refusal(SERVER_ERRORS[decision.status], decision.status)


def _failure(fault: Fault) -> Result:
    return {"ErrorCode": fault.code, "ErrorMessage": fault.message}


def _refusal(fault: Fault, status: int = 400) -> Response:
    """A request refused as a whole, in the form of AWS JSON 1.1."""
    response = _json({"__type": fault.code, "message": fault.message}, status)
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
    """The application, before the moto server at ``moto_url``. To close connections, it takes CuttableProtocol.

    - GET /_front/counts
    - GET /_front/accepted?after=N&limit=M
    - GET /_front/arrivals
    - DELETE /_front/accepted, which clears the plan of faults as well
    - POST /_front/faults, with a FaultPlan as JSON
    - DELETE /_front/faults
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
            Route("/_front/arrivals", front.arrivals),
            Route("/_front/faults", front.set_faults, methods=["POST"]),
            Route("/_front/faults", front.clear_faults, methods=["DELETE"]),
        ],
        lifespan=lifespan,
    )
    # No route for the rest: routes match the decoded path, and some keys of S3 match none.
    app.router.default = front.aws
    app.router.redirect_slashes = False
    return app
