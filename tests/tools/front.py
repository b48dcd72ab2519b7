"""A strict front before moto: holds the limits of PutEvents that moto does not, and records every accepted entry.

Everything else goes to moto as it came. Limits: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
and https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import httpx
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MAX_ENTRIES = 10
MAX_BYTES = 1_000_000
MAX_DETAIL_TYPE = 128
MAX_RESOURCE = 2_048
MAX_DEPTH = 1_000
TIME_BYTES = 14
INT64 = range(-(2**63), 2**63)
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
INTEGER = re.compile(r"(?<![\d.eE+-])-?\d+(?![\d.eE])")

METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"]
HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"expect"}
# A bus that was there a moment ago is taken to be there still: looking costs a request of moto's.
BUS_SECONDS = 1.0

Entry = dict[str, Any]


def entry_size(entry: Entry) -> int:
    """The bytes that EventBridge counts for an entry."""
    texts = [entry.get(name) or "" for name in ("Source", "DetailType", "Detail")] + list(entry.get("Resources") or [])
    return TIME_BYTES * ("Time" in entry) + sum(len(text.encode()) for text in texts)


def request_fault(entries: list[Entry]) -> str | None:
    """Why a request is refused as a whole, or None."""
    if not 1 <= len(entries) <= MAX_ENTRIES:
        return f"Value at 'entries' failed to satisfy constraint: Member must have length between 1 and {MAX_ENTRIES}"
    if sum(map(entry_size, entries)) > MAX_BYTES:
        return "Total size of the entries in the request is over the limit."
    return None


def entry_fault(entry: Entry) -> tuple[str, str] | None:
    """The error code and message with which a single entry is refused, or None."""
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            return "InvalidArgument", f"Parameter {name} is not valid. Reason: {name} is a required argument."
    if entry["Source"].startswith("aws."):
        return "NotAuthorizedForSourceException", "Not authorized for the source."
    if len(entry["DetailType"]) > MAX_DETAIL_TYPE:
        return "InvalidArgument", "Parameter DetailType is not valid. Reason: Provided DetailType is too long."
    if any(len(resource) > MAX_RESOURCE for resource in entry.get("Resources") or []):
        return "InvalidArgument", "Parameter Resources is not valid. Reason: A resource is too long."
    return None if is_json_object(entry["Detail"]) else ("MalformedDetail", "Detail is malformed.")


def is_json_object(text: str) -> bool:
    """Whether text is a JSON object within the limits: no NaN, integers in int64, at most 1,000 levels deep."""
    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
    bare = STRING.sub("", text)
    return is_object and _depth(bare) <= MAX_DEPTH and all(int(each) in INT64 for each in INTEGER.findall(bare))


def _depth(bare: str) -> int:
    """How deep objects and arrays are nested, in JSON whose strings were taken out."""
    steps = (1 if each in "{[" else -1 for each in bare if each in "{[]}")
    return max(accumulate(steps))


@dataclass
class Record:
    """What the front has seen. ``lost`` counts entries for buses that do not exist."""

    accepted: list[Entry] = field(default_factory=list)
    requests: int = 0
    rejected: int = 0
    lost: int = 0

    def counts(self) -> dict[str, Any]:
        """The record in numbers."""
        return {
            "accepted": len(self.accepted),
            "requests": self.requests,
            "rejected": self.rejected,
            "lost": self.lost,
            "by_bus": Counter(bus_name(entry) for entry in self.accepted),
            "by_detail_type": Counter(entry["DetailType"] for entry in self.accepted),
        }


def bus_name(entry: Entry) -> str:
    """The name of the bus that an entry is for; it may be given as an ARN."""
    return str(entry.get("EventBusName") or "default").rsplit("/", 1)[-1]


class Front:
    """The ASGI application's handlers, over a moto server at ``moto_url``."""

    def __init__(self, moto_url: str) -> None:
        self.record = Record()
        self._url = httpx.URL(moto_url)
        self._client = httpx.AsyncClient(timeout=60, trust_env=False, limits=httpx.Limits(max_connections=64))
        self._buses: dict[str, float] = {}

    def app(self) -> Starlette:
        """The application."""

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            yield
            await self._client.aclose()

        return Starlette(
            routes=[
                Route("/_front/counts", self.counts),
                Route("/_front/accepted", self.accepted),
                Route("/_front/accepted", self.forget, methods=["DELETE"]),
                Route("/{path:path}", self.aws, methods=METHODS),
            ],
            lifespan=lifespan,
        )

    async def counts(self, _request: Request) -> Response:
        """The record in numbers."""
        return JSONResponse(self.record.counts())

    async def accepted(self, request: Request) -> Response:
        """The accepted entries from number `after` on, as JSON lines in the order of acceptance."""
        after = int(request.query_params.get("after", 0))

        def lines() -> Iterator[bytes]:
            yield from (orjson.dumps(entry) + b"\n" for entry in self.record.accepted[after:])

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def forget(self, _request: Request) -> Response:
        """Begins the record anew."""
        self.record = Record()
        return Response(status_code=204)

    async def aws(self, request: Request) -> Response:
        """Any call of AWS's."""
        body = await request.body()
        if request.headers.get("x-amz-target") == "AWSEvents.PutEvents":
            return await self._put_events(request, body)
        return await self._moto(request, body)

    async def _put_events(self, request: Request, body: bytes) -> Response:
        self.record.requests += 1
        try:
            entries = orjson.loads(body)["Entries"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return refusal("SerializationException", "the body is no PutEvents request")
        fault = request_fault(entries)
        if fault:
            self.record.rejected += len(entries)
            return refusal("ValidationException", fault)
        faults = [entry_fault(entry) for entry in entries]
        good = [entry for entry, each in zip(entries, faults, strict=True) if each is None]
        kept = [entry for entry in good if await self._bus_exists(request, bus_name(entry))]
        if kept:
            delivered = await self._moto(request, orjson.dumps({"Entries": kept}))
            if delivered.status_code != 200:
                return delivered
        self.record.accepted += kept
        self.record.rejected += len(entries) - len(good)
        self.record.lost += len(good) - len(kept)
        return answer(faults, first_id=len(self.record.accepted))

    async def _bus_exists(self, request: Request, name: str) -> bool:
        if time.monotonic() - self._buses.get(name, -BUS_SECONDS) >= BUS_SECONDS:
            found = await self._moto(request, orjson.dumps({"Name": name}), target="AWSEvents.DescribeEventBus")
            if found.status_code != 200:
                return False
            self._buses[name] = time.monotonic()
        return True

    async def _moto(self, request: Request, body: bytes, *, target: str | None = None) -> Response:
        """Hands a request to moto. The path goes as it came: quoting it anew would change keys."""
        query = request.scope["query_string"]
        url = self._url.copy_with(raw_path=request.scope["raw_path"] + (b"?" + query if query else b""))
        headers = [(name, value) for name, value in request.headers.raw if name not in HOP_BY_HOP]
        if target:
            headers = [(name, value) for name, value in headers if name != b"x-amz-target"]
            headers.append((b"x-amz-target", target.encode()))
        sent = self._client.build_request(request.method, url, headers=headers, content=body)
        found = await self._client.send(sent, stream=True)
        content = b"".join([part async for part in found.aiter_raw()])
        await found.aclose()
        response = Response(content, found.status_code)
        # The length that moto names stands also where there is no body: HEAD answers with the object's.
        drop = {b"connection", b"transfer-encoding"} | ({b"content-length"} if request.method != "HEAD" else set())
        response.raw_headers = [(name.lower(), value) for name, value in found.headers.raw if name.lower() not in drop]
        if request.method != "HEAD":
            response.raw_headers.append((b"content-length", str(len(content)).encode()))
        return response


def refusal(code: str, message: str) -> Response:
    """A request refused as a whole, in the form of AWS JSON 1.1."""
    return JSONResponse(
        {"__type": code, "message": message},
        400,
        headers={"x-amzn-errortype": code},
        media_type="application/x-amz-json-1.1",
    )


def answer(faults: list[tuple[str, str] | None], *, first_id: int) -> Response:
    """The results of a request, in the order of its entries."""
    results = [
        {"ErrorCode": fault[0], "ErrorMessage": fault[1]} if fault else {"EventId": f"{first_id:08}-{number}"}
        for number, fault in enumerate(faults)
    ]
    failed = sum(fault is not None for fault in faults)
    return JSONResponse({"FailedEntryCount": failed, "Entries": results}, media_type="application/x-amz-json-1.1")
