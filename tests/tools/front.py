"""A strict front before moto: holds the limits of PutEvents that moto does not, and records every accepted entry.

It is a test double. What moto lacks it models, in the modules that front_services names: custom buses, partner event
sources, global endpoints, schemas and quotas. What it does not know goes to moto as it came. What it has seen is told
under `/_front/`. By a plan, it also does what a service far away does at times: throttles, fails, is slow, and closes
connections.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.tools.fault_plan import FaultCourse, FaultPlan, read_plan
from tests.tools.front_clock import Clock
from tests.tools.front_endpoint_put import EndpointPut
from tests.tools.front_moto import Moto
from tests.tools.front_put import BusPut, Put, Puts
from tests.tools.front_record import Record
from tests.tools.front_rules import Fault, Limits
from tests.tools.front_services import Services
from tests.tools.front_signature import AUTHORIZATION, skew
from tests.tools.front_wire import JsonWire, member

PUT_EVENTS = "AWSEvents.PutEvents"
DELETE_BUS = "AWSEvents.DeleteEventBus"

SLOW_DOWN = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message><RequestId>0</RequestId></Error>"""

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
TOO_SKEWED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>RequestTimeTooSkewed</Code>\
<Message>The difference between the request time and the current time is too large.</Message>\
<RequestId>0</RequestId></Error>"""


class Front:
    """The handlers of the front, its record, and the faults it is to make."""

    def __init__(self, moto: Moto, limits: Limits) -> None:
        self._moto = moto
        self._limits = limits
        self._puts = Puts()
        self._clock = Clock()
        self._services = Services(self._clock, moto, self._puts)

    async def counts(self, _request: Request) -> Response:
        """The record in numbers, as JSON."""
        return Response(orjson.dumps(self._puts.record.counts()), media_type="application/json")

    async def accepted(self, request: Request) -> Response:
        """Accepted entries, in order, as JSON lines of number, bus and entry: those after number `after`.

        Where the sender may not have learned of it, the line also has `"cut": true`, or `"slow": true`.
        """
        after, limit = _number(request, "after", 0), _number(request, "limit", len(self._puts.record.accepted))
        return Response(self._puts.record.accepted.text(after, limit), media_type="application/x-ndjson")

    async def unheard(self, _request: Request) -> Response:
        """Accepted entries whose senders may have gone unanswered, as JSON lists of the first, from 0, and the end."""
        return Response(orjson.dumps(self._puts.record.unheard), media_type="application/json")

    async def arrivals(self, _request: Request) -> Response:
        """Every request that puts events, as JSON lists of its monotonic time, entries, and those accepted."""
        return Response(orjson.dumps(self._puts.record.arrivals), media_type="application/json")

    async def reset(self, _request: Request) -> Response:
        """Begins the record anew, with number 1; nothing goes wrong by plan, and every switch is back."""
        self._puts.record = Record()
        self._puts.course = FaultCourse(FaultPlan())
        self._clock.reset()
        self._services.reset()
        return Response(status_code=204)

    async def move_clock(self, request: Request) -> Response:
        """Moves the clock of all that is modelled forward by the seconds in the body."""
        try:
            self._clock.forward(float(await request.body()))
        except ValueError as error:
            return Response(str(error), 400)
        return Response(status_code=204)

    async def register_partner(self, request: Request) -> Response:
        """Has the account be a registered partner from here on, or no longer."""
        self._services.partners.is_registered = request.method == "POST"
        return Response(status_code=204)

    async def set_quota(self, request: Request) -> Response:
        """Has a region have the quota of PutEvents requests a second that the body tells, until the next reset."""
        try:
            self._services.quotas.apply(request.path_params["region"], float(await request.body()))
        except ValueError as error:
            return Response(str(error), 400)
        return Response(status_code=204)

    async def set_faults(self, request: Request) -> Response:
        """Has happen from here on what the plan in the body tells; the record goes on."""
        try:
            self._puts.course = FaultCourse(read_plan(await request.body()))
        except ValueError as error:
            return Response(str(error), 400)
        return Response(status_code=204)

    async def clear_faults(self, _request: Request) -> Response:
        """Has nothing go wrong by plan any more; the record goes on."""
        self._puts.course = FaultCourse(FaultPlan())
        return Response(status_code=204)

    async def aws(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Any call of AWS's."""
        request = Request(scope, receive)
        body, target = await request.body(), request.headers.get("x-amz-target")
        if target == DELETE_BUS:
            # Before moto deletes it: no look must find a source ACTIVE whose events are dropped already.
            self._services.bus_deleted(request, body)
        answer = await self._answer(request, body, target)
        if target == DELETE_BUS:
            self._moto.forget_buses()
        await answer(scope, receive, send)

    async def _answer(self, request: Request, body: bytes, target: str | None) -> ASGIApp:
        if wrong := self._skew(request, target):
            return wrong
        if target == PUT_EVENTS:
            return await self._puts.befall(self._put(request, body))
        modelled = await self._services.answer(request, body)
        if modelled:
            return modelled
        if target is None and self._puts.course.next_s3(request.method, request.scope["path"]):
            self._puts.record.faults["s3_unavailable"] += 1
            return Response(SLOW_DOWN, 503, media_type="application/xml")
        return await self._moto.send(request, body)

    def _skew(self, request: Request, target: str | None) -> Response | None:
        """The answer to a request of S3 or of AWS JSON that was signed at a time that is too far off."""
        told = None if target else AUTHORIZATION.match(request.headers.get("authorization", ""))
        is_asked = target or (told and told["service"] == "s3")
        if not is_asked or not (wrong := skew(request, datetime.now(UTC))):
            return None
        self._puts.record.faults["clock_skew"] += 1
        if target:
            return JsonWire().refuse(Fault("InvalidSignatureException", wrong), 403)
        return Response(TOO_SKEWED, 403, media_type="application/xml")

    def _put(self, request: Request, body: bytes) -> Put:
        # To look for the endpoint of each request would cost another reading of it.
        if b'"EndpointId"' in body and member(body, "EndpointId") is not None:
            return EndpointPut(request, body, self._moto, self._limits, self._services.endpoints)
        return BusPut(request, body, self._moto, self._limits)


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
    - GET /_front/unheard
    - DELETE /_front/accepted, which clears the plan of faults and sets every switch back as well
    - POST /_front/faults, with a FaultPlan as JSON
    - DELETE /_front/faults
    - POST /_front/clock, with a number of seconds
    - POST and DELETE /_front/partner
    - POST /_front/quotas/REGION, with a number of requests a second
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
            Route("/_front/unheard", front.unheard),
            Route("/_front/faults", front.set_faults, methods=["POST"]),
            Route("/_front/faults", front.clear_faults, methods=["DELETE"]),
            Route("/_front/clock", front.move_clock, methods=["POST"]),
            Route("/_front/quotas/{region}", front.set_quota, methods=["POST"]),
            Route("/_front/partner", front.register_partner, methods=["POST", "DELETE"]),
        ],
        lifespan=lifespan,
    )
    # No route for the rest: routes match the decoded path, and some keys of S3 match none.
    app.router.default = front.aws
    app.router.redirect_slashes = False
    return app
