"""The page as an application. All of its routes answer GET alone, and ask who calls."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException

from currents_airflow.page import event_routes, hour_routes, run_routes
from currents_airflow.page.access import Permitted
from currents_airflow.page.show import show
from currents_core.errors import CurrentsError

log = logging.getLogger(__name__)

# Nothing comes from elsewhere, nothing is framed by others, and nothing in a page runs but its own script.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# What the ids of DAGs begin with that are of one connector, whose name follows.
_OF_CONNECTORS = ("currents_export_", "currents_connect_", "currents_redrive_")
_STATIC = Path(__file__).parent / "static"


def make_app() -> FastAPI:
    """The page as an application."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def secure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            response = await call_next(request)
        except Exception:
            log.exception("%s could not be shown", request.url.path)
            text = "The log of the API server has the reason. Please report it."
            response = show(request, "message", {"title": "This page has a fault", "text": text}, 500)
        response.headers.update(_HEADERS)
        return response

    @app.exception_handler(AnyHTTPException)
    def refuse(request: Request, error: AnyHTTPException) -> Response:
        return show(request, "message", {"title": "Not here", "text": str(error.detail)}, error.status_code)

    @app.exception_handler(CurrentsError)
    def fail(request: Request, error: CurrentsError) -> Response:
        return show(request, "message", {"title": "This can't be shown now", "text": str(error)}, 502)

    _add_entrance(app)
    app.include_router(hour_routes.router)
    app.include_router(event_routes.router)
    app.include_router(run_routes.router)
    return app


def _add_entrance(app: FastAPI) -> None:
    @app.get("/")
    def entrance(request: Request, connectors: Permitted) -> Response:
        if len(connectors) == 1:
            return RedirectResponse(f"{request.scope['root_path']}/c/{next(iter(connectors))}/")
        return show(request, "entrance", {"connectors": sorted(connectors)})

    @app.get("/dag/{dag_id}")
    def of_dag(request: Request, dag_id: str, connectors: Permitted) -> Response:
        name = next((dag_id.removeprefix(each) for each in _OF_CONNECTORS if dag_id.startswith(each)), "")
        if name in connectors:
            return RedirectResponse(f"{request.scope['root_path']}/c/{name}/")
        return show(request, "entrance", {"connectors": sorted(connectors)})

    @app.get("/static/{name}")
    def static(name: str, _user: GetUserDep) -> Response:
        if name not in ("page.css", "page.js"):
            raise HTTPException(404, "There is no such file.")
        return FileResponse(_STATIC / name)
