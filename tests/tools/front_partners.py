"""The operations on partner event sources, of the partner and of the customer.

A model of local AWS: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreatePartnerEventSource.html
"""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp

from tests.tools.front_api import ACCOUNT, Api, Call, Handler, page, wire_of
from tests.tools.front_clock import Clock
from tests.tools.front_moto import Moto
from tests.tools.front_partner_put import SERVICE, PartnerPut
from tests.tools.front_partner_sources import Source, Sources
from tests.tools.front_put import Puts
from tests.tools.front_wire import Refused

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
            service=SERVICE,
            signing_name="events",
            wire=wire_of(SERVICE),
            invalid="ValidationException",
            handlers=self._handlers(),
            course=self._course,
            puts={"PutPartnerEvents": self.put},
        )

    def _handlers(self) -> dict[str, Handler]:
        return {
            "CreatePartnerEventSource": self.create,
            "DescribePartnerEventSource": self.describe,
            "ListPartnerEventSources": self.list_sources,
            "ListPartnerEventSourceAccounts": self.list_accounts,
            "DeletePartnerEventSource": self.delete,
            **Customer(self._clock, self._moto, self.sources).handlers(),
        }

    def put(self, body: bytes, region: str) -> PartnerPut:
        """A request that puts events."""
        return PartnerPut(body, region, self.sources, self._moto, check=self.check_registered)

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
