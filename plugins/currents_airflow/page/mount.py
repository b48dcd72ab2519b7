"""Hands the page to Airflow, which loads this plugin in every process but serves it in the API server alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk.configuration import conf

from currents_core.hour import date_of_hour

_Message = MutableMapping[str, Any]
_App = Callable[[_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]]

PREFIX = "/currents"


async def page(
    scope: _Message, receive: Callable[[], Awaitable[_Message]], send: Callable[[_Message], Awaitable[None]]
) -> None:
    """The page as an ASGI application, made at its first request."""
    await _app()(scope, receive, send)


@cache
def _app() -> _App:
    from currents_airflow.page.app import make_app

    return make_app()


def deliveries_address(connector: str, hours: Sequence[str]) -> str:
    """The page of an hour of a connector, or of the month that ends with the last of several."""
    home = f"{conf.get('api', 'base_url', fallback='').rstrip('/')}{PREFIX}/c/{connector}"
    return f"{home}/hours/{hours[0]}" if len(hours) == 1 else f"{home}/?until={date_of_hour(hours[-1])}"


def views() -> list[dict[str, Any]]:
    """Where the UI shows the page: in its navigation, and as a tab of each DAG and each run. Airflow frames it."""
    home = f"{urlsplit(conf.get('api', 'base_url', fallback='') or '').path.rstrip('/')}{PREFIX}"
    return [
        {"name": "Deliveries", "href": f"{home}/", "destination": "nav", "url_route": "currents", "category": "browse"},
        {
            "name": "Deliveries",
            "href": f"{home}/dag/{{DAG_ID}}",
            "destination": "dag",
            "url_route": "currents-deliveries",
        },
        {
            "name": "Deliveries",
            "href": f"{home}/dag/{{DAG_ID}}/runs/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "currents-run",
        },
    ]
