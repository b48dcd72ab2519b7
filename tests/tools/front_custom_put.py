"""PutEvents of the second generation: to custom buses, which leave out what they have had, and their subscribers.

A model of local AWS: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_PutEvents.html
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from tests.tools.front_api import ACCOUNT, Api, wire_of
from tests.tools.front_clock import Clock
from tests.tools.front_custom_buses import CustomBus, CustomBuses
from tests.tools.front_dedup import Window, content_id
from tests.tools.front_moto import Moto
from tests.tools.front_put import Puts
from tests.tools.front_record import Result
from tests.tools.front_rules import Entry, Fault, Limits, check_detail, check_source, entry_size
from tests.tools.front_shape import Problem, operation_model, problems
from tests.tools.front_subscribers import Subscribers
from tests.tools.front_wire import Refused

SERVICE = "eventbridgev2"
INVALID = "InvalidInputException"
LIMITS = Limits(max_entries=100)


class CustomPuts:
    """What all puts to custom buses share: the buses, what they have had, and who has it from them."""

    def __init__(self, clock: Clock, moto: Moto, course: Puts) -> None:
        self.clock = clock
        self.course = course
        self.buses = CustomBuses(clock)
        self.subscribers = Subscribers(self.buses, clock, moto)
        self.window: Window[Result] = Window(clock)

    def api(self) -> Api:
        """The service."""
        handlers = self.buses.handlers() | self.subscribers.handlers()
        return Api(
            service=SERVICE,
            signing_name="events",
            wire=wire_of(SERVICE),
            invalid=INVALID,
            handlers=handlers,
            course=self.course,
            puts={"PutEvents": self.put},
        )

    def put(self, body: bytes, region: str) -> CustomPut:
        """A request that puts events."""
        return CustomPut(body, region, self)


class CustomPut:
    """One PutEvents request to a custom bus.

    What has another type than the model's, or is missing, costs the whole request. A length, the source and the
    Detail cost their own entry.
    """

    def __init__(self, body: bytes, region: str, puts: CustomPuts) -> None:
        self.wire = wire_of(SERVICE)
        self._body = body
        self._region = region
        self._puts = puts
        self._request: dict[str, Any] = {}

    def read(self) -> list[Entry]:
        """Its entries. Raises Refused where the body is no such request."""
        self._request = self.wire.read(self._body)
        entries = self._request.get("Entries")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise Refused("SerializationException", "Entries must be a list of structures.")
        return entries

    def check(self, entries: list[Entry]) -> Fault | None:
        """Why it is refused as a whole, or None."""
        for problem in self._problems():
            return Fault(INVALID, f"{problem.text}.")
        sizes = sum(map(entry_size, entries))
        if sizes > LIMITS.max_request_bytes:
            return Fault(INVALID, "Total size of the entries in the request is over the limit.")
        try:
            self._bus()
        except Refused as refused:
            return refused.fault
        return None

    def _problems(self) -> Iterator[Problem]:
        """Those that cost the whole request."""
        for problem in problems(self._request, _request(), self.wire.name):
            if not (problem.is_bound and problem.text.startswith("Entries[")):
                yield problem

    def _bus(self) -> CustomBus:
        return self._puts.buses.active(self._request["EventBusArn"], self._region)

    def check_entry(self, entry: Entry) -> Fault | None:
        """Why a single entry is refused, or None; it need not have a Detail."""
        for problem in problems(entry, _request().members["Entries"].member, self.wire.name):
            return Fault("InvalidArgument", f"{problem.text}.")
        return check_source(entry) or check_detail(entry.get("Detail", "{}"), LIMITS)

    def bus_of(self, _entry: Entry) -> str:
        """The name of the bus."""
        return self._bus().name

    async def take(self, kept: dict[int, Entry], *, hold: bool) -> dict[int, Result]:
        """The results of all that is kept. What the bus had before is not delivered to its subscribers."""
        bus, taken, events = self._bus(), {}, []
        for index, entry in kept.items():
            key = self._key(bus, entry)
            known = self._puts.window.find(key) if key else None
            result = known or {"EventId": str(uuid.uuid4()), "SequenceNumber": bus.next_number()}
            taken[index] = {**result, "SuccessCode": "DEDUPLICATED" if known else "PUBLISHED"}
            if known is None:
                events.append(_event(entry, result["EventId"], self._region, self._puts.clock.now()))
                if key:
                    self._puts.window.note(key, result)
        if not hold:
            self._puts.course.record.undelivered += await self._puts.subscribers.deliver(bus, events)
        return taken

    def _key(self, bus: CustomBus, entry: Entry) -> tuple[str, str, str] | None:
        """What tells whether the bus has had an entry; None where nothing does."""
        told = entry.get("SystemMetadata", {})
        by_content = self._request.get("DeduplicationConfiguration")
        unique = content_id(entry) if by_content else told.get("DeduplicationId")
        return (bus.arn, told.get("EventGroupId", ""), unique) if unique else None


def _request() -> Any:
    """The shape of a request."""
    return operation_model(SERVICE, "PutEvents").input_shape


def _event(entry: Entry, event_id: str, region: str, now: datetime) -> dict[str, Any]:
    """An entry as subscribers get it."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "account": ACCOUNT,
        "time": entry.get("Time", now).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": entry.get("Resources", []),
        "detail": orjson.Fragment(entry.get("Detail", "{}")),
    }
