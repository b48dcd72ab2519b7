"""The moto server, as the front asks it: requests handed on, buses looked for, and calls of the front's own."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Any

import httpx
import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tests.tools.front_signature import ACCESS_KEY

DESCRIBE_BUS = "AWSEvents.DescribeEventBus"
# Of one connection only (RFC 9110, 7.6.1), and the length, which is told anew.
HOP_BY_HOP = set(
    b"connection keep-alive te trailer transfer-encoding upgrade expect content-length "
    b"proxy-authenticate proxy-authorization proxy-connection".split()
)
# Looking for a bus costs a request of moto's, so one that was there a moment ago is taken to be there still.
BUS_SECONDS = 1.0

BusKey = tuple[str, str]


class Moto:
    """The moto server at ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url
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
        sent = httpx.Request(request.method, self.url, headers=headers, content=body, extensions=extensions)
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

    async def call(self, service: str, region: str, target: str, content: dict[str, Any]) -> httpx.Response:
        """A call of the front's own in a region; its content is JSON."""
        scope = f"{ACCESS_KEY}/20260101/{region}/{service}/aws4_request"
        headers = {
            # moto reads the service and the region from it, and checks nothing.
            "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": target,
        }
        return await self._client.post(self.url, headers=headers, content=orjson.dumps(content), timeout=120)

    async def has_bus(self, request: Request, name: str) -> bool:
        """Whether a bus exists in the region, and for the credentials, of a request."""
        key = (request.headers.get("authorization", "").partition(",")[0], name)
        if self._is_known(key):
            return True
        # Of many requests that find the bus forgotten at once, one looks for it.
        async with self._looks[key]:
            return self._is_known(key) or await self._look(request, key)

    async def has_bus_in(self, region: str, name: str) -> bool:
        """Whether a bus exists in a region; it is looked for each time."""
        return (await self.call("events", region, DESCRIBE_BUS, {"Name": name})).status_code == 200

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
