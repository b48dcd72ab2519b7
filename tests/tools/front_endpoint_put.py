"""PutEvents to a global endpoint: signed for all of its regions, and taken by the bus of the primary one.

A model of local AWS: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-global-endpoints.html
"""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tests.tools.front_endpoints import Endpoint, Endpoints
from tests.tools.front_moto import Moto
from tests.tools.front_put import BusPut
from tests.tools.front_record import Result, success
from tests.tools.front_rules import Entry, Fault, Limits, bus_name, check_entry, invalid
from tests.tools.front_signature import check_asymmetric_signature
from tests.tools.front_wire import Refused, member

SERVICE = "events"


class EndpointPut(BusPut):
    """One PutEvents request with an EndpointId."""

    def __init__(self, request: Request, body: bytes, moto: Moto, limits: Limits, endpoints: Endpoints) -> None:
        super().__init__(request, body, moto, limits)
        self._endpoints = endpoints
        self._endpoint: Endpoint

    def read(self) -> list[Entry]:
        """Its entries. Raises Refused where the body is no such request, or its endpoint or signature are wrong."""
        regions = set(check_asymmetric_signature(self._request, self._body, SERVICE))
        self._endpoint = self._endpoints.active(str(member(self._body, "EndpointId")))
        if "*" not in regions and not regions >= set(self._endpoint.buses):
            raise Refused("InvalidSignatureException", "The request is not signed for each region.", 403)
        return super().read()

    def check_entry(self, entry: Entry) -> Fault | None:
        """Why a single entry is refused, or None."""
        # What AWS answers here is not documented.
        if bus_name(entry) not in self._endpoint.buses.values():
            return invalid("EventBusName", "It is no event bus of the endpoint.")
        return check_entry(entry, self._limits)

    async def take(self, kept: dict[int, Entry], *, hold: bool) -> dict[int, Result] | Response:
        """The results of entries, if the bus in the primary region exists: moto's, or those of the front."""
        region = self._endpoint.region
        if not kept or not await self._moto.has_bus_in(region, self._endpoint.buses[region]):
            return {}
        if hold:
            return {index: success() for index in kept}
        entries = [{**entry, "EventBusName": bus_name(entry)} for entry in kept.values()]
        answer = await self._moto.call(SERVICE, region, "AWSEvents.PutEvents", {"Entries": entries})
        if answer.status_code != 200:
            return Response(answer.content, answer.status_code)
        return dict(zip(kept, orjson.loads(answer.content)["Entries"], strict=True))
