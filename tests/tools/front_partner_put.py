"""PutPartnerEvents: to the buses of customers, by way of partner event sources.

A model of local AWS: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPartnerEvents.html
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import orjson
from starlette.responses import Response

from tests.tools.front_api import wire_of
from tests.tools.front_moto import Moto
from tests.tools.front_partner_sources import Sources
from tests.tools.front_put import json_entries
from tests.tools.front_record import Result, success
from tests.tools.front_rules import (
    NOT_AUTHORIZED,
    REQUIRED,
    Entry,
    Fault,
    Limits,
    check_content,
    check_request,
    check_required,
)

SERVICE = "events"
LIMITS = Limits(max_entries=20)
MOTO_ENTRIES = 10


class PartnerPut:
    """One PutPartnerEvents request; ``check`` raises Refused where the account is no partner."""

    def __init__(self, body: bytes, region: str, sources: Sources, moto: Moto, *, check: Callable[[], None]) -> None:
        self.wire = wire_of(SERVICE)
        self._body = body
        self._region = region
        self._sources = sources
        self._moto = moto
        self._check_registered = check

    def read(self) -> list[Entry]:
        """Its entries. Raises Refused where the body is no such request, or the account is no partner."""
        self._check_registered()
        return json_entries(self._body)

    def check(self, entries: list[Entry]) -> Fault | None:
        """Why it is refused as a whole, or None: also where no entry has all that it needs."""
        fault = check_request(entries, LIMITS)
        if fault or not all(map(check_required, entries)):
            return fault
        return Fault("ValidationException", f"No entry has each of {', '.join(REQUIRED)}.")

    def check_entry(self, entry: Entry) -> Fault | None:
        """Why a single entry is refused, or None: its source must be one of the partner's that is not gone."""
        if fault := check_required(entry):
            return fault
        if self._sources.live(entry["Source"], self._region) is None:
            return NOT_AUTHORIZED
        return check_content(entry, LIMITS)

    def bus_of(self, entry: Entry) -> str:
        """The name of the bus that an entry is for: that of its source."""
        return str(entry["Source"])

    async def take(self, kept: dict[int, Entry], *, hold: bool) -> dict[int, Result] | Response:
        """The results of entries whose source is ACTIVE; those of a PENDING one go nowhere."""
        taken = {index: entry for index, entry in kept.items() if self._is_active(entry)}
        if hold:
            return {index: success() for index in taken}
        found: dict[int, Result] = {}
        left = iter(taken.items())
        while some := dict(islice(left, MOTO_ENTRIES)):
            answer = await self._hand_on(list(some.values()))
            if b"ResourceNotFoundException" in answer.body:
                # The customer has deleted the bus meanwhile, so what is left goes nowhere, too.
                break
            if answer.status_code != 200:
                return answer
            found |= zip(some, orjson.loads(answer.body)["Entries"], strict=True)
        return found

    def _is_active(self, entry: Entry) -> bool:
        source = self._sources.live(entry["Source"], self._region)
        return source is not None and source.pending_since is None

    async def _hand_on(self, entries: list[Entry]) -> Response:
        """Has moto put events to the customer's bus, as events of the customer's own."""
        content = {"Entries": [{**entry, "EventBusName": entry["Source"]} for entry in entries]}
        answer = await self._moto.call("events", self._region, "AWSEvents.PutEvents", content)
        return Response(answer.content, answer.status_code)
