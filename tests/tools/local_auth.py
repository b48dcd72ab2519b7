"""Who may talk to a local Airflow, which asks nobody for a login: this machine, but no foreign web page in its browser.

`[core] auth_manager` names it. With `simple_auth_manager_all_admins`, Airflow gives every request the rights of an
administrator, so a page of any site could use them: through a name of its own that it has resolve to 127.0.0.1 (DNS
rebinding), or by having the browser send a request here. The first shows in the Host of a request, the second in its
Origin.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOSTS = ["127.0.0.1", "localhost"]


class LocalAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager behind two checks."""

    def get_fastapi_middlewares(self) -> list[tuple[Any, dict[str, Any]]]:
        """Airflow's own, and the checks. The last is called first."""
        return [*super().get_fastapi_middlewares(), (OwnPages, {}), (TrustedHostMiddleware, {"allowed_hosts": HOSTS})]


class OwnPages:
    """Refuses with 403 what a browser sends for a page that is not of this server; programs send no Origin.

    Source: https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Origin
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else Headers()
        origin = headers.get("origin")
        if origin is None or urlsplit(origin).netloc == headers.get("host"):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse("a page of another site", status_code=403)(scope, receive, send)
