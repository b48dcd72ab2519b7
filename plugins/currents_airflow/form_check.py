"""Refuses fields of the trigger form that don't go together, in the form itself: Airflow looks at each field alone.

A middleware of the API server. Runs that are triggered in other ways, or where the API server lacks the plugin, are
refused by their first task.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import UTC, datetime
from typing import Any

from currents_core.errors import SetupError
from currents_core.hour import format_hour, resolve_hour
from currents_core.setup.run_request import RunRequest, form_request

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]

# Where the form triggers a run, or starts a backfill of any DAG.
# Source: https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
_TRIGGER = re.compile(r"/api/v2/(dags/currents_(export_\w+|redrive)/dagRuns|backfills)\Z")


class FormCheck:
    """An ASGI application around another. It answers what it refuses with 400, and hands on everything else."""

    def __init__(self, app: _App) -> None:
        self._app = app

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Handles one request."""
        if scope.get("method") != "POST" or not _TRIGGER.search(scope["path"]):
            await self._app(scope, receive, send)
            return
        messages = await _messages(receive)
        complaint = refusal(b"".join(message.get("body", b"") for message in messages), datetime.now(UTC))
        if complaint:
            await _refuse(complaint, send)
        else:
            await self._app(scope, _again(messages, receive), send)


def refusal(body: bytes, now: datetime) -> str | None:
    """Why a request for a run or a backfill is refused, by its JSON ``body``; None where it is not."""
    try:
        asked = json.loads(body)
        if asked.get("dag_id", "currents_export_").startswith("currents_export_"):
            _request(asked).require_begun(now)
    except SetupError as error:
        return str(error)
    except (ValueError, TypeError, AttributeError, KeyError):
        # No JSON at all, or nothing of this form: Airflow says so.
        return None
    return None


def _request(asked: Any) -> RunRequest:
    """What a run is asked to do, or the first of a backfill. Raises SetupError if fields contradict each other."""
    if "dag_id" in asked:
        hour = format_hour(datetime.fromisoformat(asked["from_date"]))
        return form_request(asked.get("dag_run_conf") or {}, hour, is_backfill=True)
    fields = asked.get("conf") or {}
    return form_request(fields, resolve_hour(asked.get("partition_key"), fields.get("hour"), None))


async def _messages(receive: _Receive) -> list[_Message]:
    """The messages of a request, up to the end of its body."""
    found = [await receive()]
    while found[-1].get("more_body"):
        found.append(await receive())
    return found


def _again(messages: Iterable[_Message], receive: _Receive) -> _Receive:
    """Gives the messages again, and then goes on."""
    left = deque(messages)

    async def receive_again() -> _Message:
        return left.popleft() if left else await receive()

    return receive_again


async def _refuse(complaint: str, send: _Send) -> None:
    """Answers as Airflow's API does, so that the form shows it."""
    body = json.dumps({"detail": complaint}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
