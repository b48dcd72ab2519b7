"""Closing connections in place of an answer, which ASGI itself has no way to."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol


class CuttableProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's protocol, with what closes the connection of a request in its scope."""

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
