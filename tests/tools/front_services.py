"""What the front models beside PutEvents, and which request is for which of it."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.types import ASGIApp

from tests.tools.front_clock import Clock
from tests.tools.front_custom_put import CustomPuts
from tests.tools.front_endpoints import Endpoints
from tests.tools.front_moto import Moto
from tests.tools.front_partners import Partners
from tests.tools.front_put import Puts
from tests.tools.front_quotas import SERVICE_CODE, Quotas
from tests.tools.front_schemas import schemas_api
from tests.tools.front_signature import region_of
from tests.tools.front_wire import member

EVENTS = "AWSEvents"
QUOTAS = "ServiceQuotasV20190624"
SCHEMAS = ("/v1/registries", "/v1/discoverers")
CUSTOM_BUSES = "/service/AWSEventsV2/operation/"


class Services:
    """The services that are modelled, in whole or in part."""

    def __init__(self, clock: Clock, moto: Moto, course: Puts) -> None:
        self._custom_buses = CustomPuts(clock, moto, course).api()
        self.partners = Partners(clock, moto, course)
        self.endpoints = Endpoints(clock)
        api = self.partners.api()
        self._events = replace(api, handlers={**api.handlers, **self.endpoints.handlers()})
        self.quotas = Quotas()
        self._quotas = self.quotas.api()
        self._schemas = schemas_api(clock)

    async def answer(self, request: Request, body: bytes) -> ASGIApp | None:
        """The answer to a request; None where it is of nothing that is modelled."""
        path = request.scope["path"]
        if path.startswith(CUSTOM_BUSES) and "smithy-protocol" in request.headers:
            return await self._custom_buses.answer(request, body, path.removeprefix(CUSTOM_BUSES), {})
        service, _, operation = request.headers.get("x-amz-target", "").partition(".")
        if service == EVENTS and self._is_modelled(operation, body):
            return await self._events.answer(request, body, operation, {})
        if service == QUOTAS and member(body, "ServiceCode") == SERVICE_CODE:
            return await self._quotas.answer(request, body, operation, {})
        # No bucket has so short a name as v1.
        if path.startswith(SCHEMAS):
            return await self._schemas.answer_path(request, body)
        return None

    def _is_modelled(self, operation: str, body: bytes) -> bool:
        """Whether a call of EventBridge's is about partner event sources, or global endpoints. The rest is moto's."""
        is_modelled = operation in self._events.handlers or operation in self._events.puts
        return is_modelled and bool(operation != "CreateEventBus" or member(body, "EventSourceName"))

    def reset(self) -> None:
        """Sets every switch back; what was created stays."""
        self.partners.is_registered = False
        self.quotas.reset()

    def bus_deleted(self, request: Request, body: bytes) -> None:
        """Tells a partner event source that its bus is deleted."""
        region = region_of(request)
        if region:
            self.partners.sources.bus_deleted(str(member(body, "Name")), region)
