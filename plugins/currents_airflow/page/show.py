"""Answers with a page of a template."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from currents_airflow.page.mount import PREFIX
from currents_airflow.page.render import environment
from currents_core.hour import is_hour


def show(request: Request, template: str, context: dict[str, Any], status: int = 200) -> HTMLResponse:
    """The page of a template, which is given what ``context`` has, and where the page and Airflow are."""
    home = request.scope.get("root_path", "")
    around = {"home": home, "airflow": home.removesuffix(PREFIX), "now": datetime.now(UTC)}
    return HTMLResponse(_templates().get_template(f"{template}.html").render(around | context), status)


def require_hour(hour: str) -> None:
    """Raises HTTPException, 404, for what is no hour."""
    if not is_hour(hour):
        raise HTTPException(404, f"{hour} is no hour.")


@cache
def _templates() -> Environment:
    return environment()
