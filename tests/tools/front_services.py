"""What the front models beside PutEvents, and which request is for which of it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp

from tests.tools.front_clock import Clock
from tests.tools.front_custom_put import CustomPuts
from tests.tools.front_moto import Moto
from tests.tools.front_put import Puts

CUSTOM_BUSES = "/service/AWSEventsV2/operation/"


class Services:
    """The services that are modelled, in whole or in part."""

    def __init__(self, clock: Clock, moto: Moto, course: Puts) -> None:
        self._custom_buses = CustomPuts(clock, moto, course).api()

    async def answer(self, request: Request, body: bytes) -> ASGIApp | None:
        """The answer to a request; None where it is of nothing that is modelled."""
        path = request.scope["path"]
        if path.startswith(CUSTOM_BUSES) and "smithy-protocol" in request.headers:
            return await self._custom_buses.answer(request, body, path.removeprefix(CUSTOM_BUSES), {})
        return None
