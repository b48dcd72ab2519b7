"""The operations on partner event sources, of the partner and of the customer, and PutPartnerEvents.

A model of local AWS: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreatePartnerEventSource.html
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from tests.tools.front_api import ACCOUNT, Api, Call, Handler, page, wire_of
from tests.tools.front_clock import Clock
from tests.tools.front_moto import Moto
from tests.tools.front_partner_sources import Source, Sources
from tests.tools.front_put import Puts, json_entries
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
from tests.tools.front_wire import Refused

SERVICE = "events"
LIMITS = Limits(max_entries=20)
MOTO_ENTRIES = 10
# No page tells what an account that is no partner is answered; it is what an action without permission is answered.
NO_PARTNER = "Account {} is not registered as an event source partner."


class Partners:
    """Both sides of partner event sources. The one account of local AWS may be either, and both at once."""

    def __init__(self, clock: Clock, moto: Moto, course: Puts) -> None:
        self._clock = clock
        self._moto = moto
        self._course = course
        self.sources = Sources(clock)
        self.is_registered = False

    def api(self) -> Api:
        """The operations of the service that are modelled."""
        return Api(
            SERVICE, "events", wire_of(SERVICE), "ValidationException", self._handlers(), self._course, self._puts()
        )

    def _puts(self) -> dict[str, Any]:
        return {"PutPartnerEvents": self.put}

    def _handlers(self) -> dict[str, Handler]:
        return {
            "CreatePartnerEventSource": self.create,
            "DescribePartnerEventSource": self.describe,
            "ListPartnerEventSources": self.list_sources,
            "ListPartnerEventSourceAccounts": self.list_accounts,
            "DeletePartnerEventSource": self.delete,
            **Customer(self._clock, self._moto, self.sources).handlers(),
        }

    def put(self, _request: Request, body: bytes, region: str) -> PartnerPut:
        """A request that puts events."""
        return PartnerPut(body, region, self, self._moto)

    def check_registered(self) -> None:
        """Raises Refused where the account is no partner."""
        if not self.is_registered:
            raise Refused("AccessDeniedException", NO_PARTNER.format(ACCOUNT))

    async def create(self, call: Call) -> dict[str, Any]:
        """CreatePartnerEventSource."""
        self.check_registered()
        return {"EventSourceArn": self.sources.create(call["Name"], call["Account"], call.region).arn}

    async def describe(self, call: Call) -> dict[str, Any]:
        """DescribePartnerEventSource."""
        self.check_registered()
        source = self.sources.find(call, "Name", customer=False)
        return {"Arn": source.arn, "Name": source.name}

    async def list_sources(self, call: Call) -> dict[str, Any]:
        """ListPartnerEventSources."""
        self.check_registered()
        there = self.sources.there(call.region, call["NamePrefix"])
        found = [each for each in there if self.sources.live(each.name, call.region)]
        told, more = page([{"Arn": each.arn, "Name": each.name} for each in found], call, "Limit")
        return {"PartnerEventSources": told, **more}

    async def list_accounts(self, call: Call) -> dict[str, Any]:
        """ListPartnerEventSourceAccounts: the one that a source is for, with its state."""
        self.check_registered()
        source = self.sources.find(call, "EventSourceName", customer=False)
        told = {"Account": source.account, "State": source.state(self._clock.now()), **source.times()}
        return {"PartnerEventSourceAccounts": [told]}

    async def delete(self, call: Call) -> dict[str, Any]:
        """DeletePartnerEventSource; one that is not there is no error."""
        self.check_registered()
        self.sources.delete(call["Name"], call["Account"], call.region)
        return {}


class Customer:
    """The operations of an account that partner event sources are offered to."""

    def __init__(self, clock: Clock, moto: Moto, sources: Sources) -> None:
        self._clock = clock
        self._moto = moto
        self._sources = sources

    def handlers(self) -> dict[str, Handler]:
        """The operations, by name."""
        return {
            "ListEventSources": self.list,
            "DescribeEventSource": self.describe,
            "ActivateEventSource": self.activate,
            "DeactivateEventSource": self.deactivate,
            "CreateEventBus": self.create_bus,
        }

    async def list(self, call: Call) -> dict[str, Any]:
        """ListEventSources."""
        there = self._sources.there(call.region, call.get("NamePrefix") or "")
        found = [each.describe(self._clock.now()) for each in there if each.account == ACCOUNT]
        told, more = page(found, call, "Limit")
        return {"EventSources": told, **more}

    async def describe(self, call: Call) -> dict[str, Any]:
        """DescribeEventSource."""
        return self._sources.find(call, "Name", customer=True).describe(self._clock.now())

    async def activate(self, call: Call) -> dict[str, Any]:
        """ActivateEventSource, which was deactivated."""
        source = self._in_state(call, "PENDING")
        if not source.has_bus:
            raise Refused("InvalidStateException", f"Event source {source.name} has no event bus.")
        self._sources.associate(source)
        return {}

    async def deactivate(self, call: Call) -> dict[str, Any]:
        """DeactivateEventSource, which is ACTIVE; its bus stays."""
        self._sources.deactivate(self._in_state(call, "ACTIVE"))
        return {}

    def _in_state(self, call: Call, state: str) -> Source:
        source = self._sources.find(call, "Name", customer=True)
        told = source.state(self._clock.now())
        if told != state:
            raise Refused("InvalidStateException", f"Event source {source.name} is {told}, not {state}.")
        return source

    async def create_bus(self, call: Call) -> dict[str, Any] | ASGIApp:
        """CreateEventBus for a source. The bus is moto's, so that its rules and targets work."""
        name = call["EventSourceName"]
        if call["Name"] != name:
            raise Refused("ValidationException", f"A partner event bus must have the name of its source, {name}.")
        source = self._sources.find(call, "EventSourceName", customer=True)
        if source.state(self._clock.now()) == "DELETED":
            raise Refused("InvalidStateException", f"Event source {name} is DELETED.")
        # moto makes such a bus only for a source that it knows.
        content = {"Name": name, "Account": ACCOUNT}
        await self._moto.call("events", call.region, "AWSEvents.CreatePartnerEventSource", content)
        answer = await self._moto.send(call.request, call.body)
        if answer.status_code == 200:
            self._sources.associate(source)
        return answer


class PartnerPut:
    """One PutPartnerEvents request.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPartnerEvents.html
    """

    def __init__(self, body: bytes, region: str, partners: Partners, moto: Moto) -> None:
        self.wire = wire_of(SERVICE)
        self._body = body
        self._region = region
        self._partners = partners
        self._moto = moto

    def read(self) -> list[Entry]:
        """Its entries. Raises Refused where the body is no such request, or the account is no partner."""
        self._partners.check_registered()
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
        if self._partners.sources.live(entry["Source"], self._region) is None:
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
            if answer.status_code != 200:
                return answer
            found |= zip(some, orjson.loads(answer.body)["Entries"], strict=True)
        return found

    def _is_active(self, entry: Entry) -> bool:
        source = self._partners.sources.live(entry["Source"], self._region)
        return source is not None and source.pending_since is None

    async def _hand_on(self, entries: list[Entry]) -> Response:
        """Has moto put events to the customer's bus, as events of the customer's own."""
        content = {"Entries": [{**entry, "EventBusName": entry["Source"]} for entry in entries]}
        answer = await self._moto.call("events", self._region, "AWSEvents.PutEvents", content)
        return Response(answer.content, answer.status_code)
