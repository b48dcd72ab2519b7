"""Requests that put events, of whatever kind: what befalls them by plan, and what the record has of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.tools.fault_plan import Decision, FaultCourse, FaultPlan
from tests.tools.front_cut import cut
from tests.tools.front_moto import Moto
from tests.tools.front_record import Record, Result, success
from tests.tools.front_rules import Entry, Fault, Limits, bus_name, check_entry, check_request, read_entries
from tests.tools.front_signature import signed_at
from tests.tools.front_wire import JsonWire, Refused, Wire

# A sender that is told to stop waits so long for answers. Requests tell the second in which they were signed, so an
# answer counts as late up to a second earlier, which a sender on a busy machine needs to read it.
PATIENCE = timedelta(seconds=3)
NOTHING = range(0)
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html
DENIED = Fault("AccessDeniedException", "User is not authorized to perform: events:PutEvents")
THROTTLED = Fault("ThrottlingException", "Rate exceeded")
SERVER_ERRORS = {
    500: Fault("InternalException", "This exception occurs due to unexpected causes."),
    503: Fault("ServiceUnavailable", "The request has failed due to a temporary failure of the server."),
}
PLANNED_ENTRIES = {
    fault.planned: fault
    for fault in (
        Fault("ThrottlingException", "Rate exceeded", "entry_throttle"),
        Fault("InternalFailure", "Internal failure", "entry_failure"),
        Fault("MalformedDetail", "Detail is malformed.", "entry_refusal"),
    )
}


class Put(Protocol):
    """One request that puts events."""

    @property
    def wire(self) -> Wire:
        """The protocol that it is read and answered in."""

    def read(self) -> list[Entry]:
        """Its entries. Raises Refused where the body is no such request."""

    def check(self, entries: list[Entry]) -> Fault | None:
        """Why it is refused as a whole, or None."""

    def check_entry(self, entry: Entry) -> Fault | None:
        """Why a single entry is refused, or None."""

    def bus_of(self, entry: Entry) -> str:
        """The name of the bus that an entry is for."""

    async def take(self, kept: dict[int, Entry], *, hold: bool) -> dict[int, Result] | Response:
        """The results of what a bus takes, by index, of entries that break no rule; where moto fails, its answer.

        With ``hold``, nothing is handed on.
        """


class Puts:
    """The course of every request that puts events, with the record of them and the faults that it is to make."""

    def __init__(self) -> None:
        self.record = Record()
        self.course = FaultCourse(FaultPlan())

    async def befall(self, put: Put) -> ASGIApp:
        """The answer to a request, and what the plan has befall it."""
        record, plan, decision = self.record, self.course.plan, self.course.next_request()
        happens = (decision.fault, "slow" if decision.wait else None)
        record.faults.update(name for name in happens if name)
        answer, lines = await _answer(put, record, plan, decision)
        if decision.wait:
            await asyncio.sleep(decision.wait)
        if decision.fault in ("cut_before", "cut_after"):
            return cut

        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            # Also what it waited for before it was read: a sender counts from when it signs.
            signed = signed_at(Request(scope))
            if lines and signed and datetime.now(UTC) - signed >= PATIENCE:
                record.unheard.append((lines.start, lines.stop))
            await answer(scope, receive, send)

        return told


async def _answer(put: Put, record: Record, plan: FaultPlan, decision: Decision) -> tuple[Response, range]:
    """The answer, and which of all accepted lines are those of the request."""
    arrival = record.arrive()
    try:
        entries = put.read()
    except Refused as refused:
        return put.wire.refuse(refused.fault, refused.status), NOTHING
    arrival[1] = len(entries)
    if decision.fault not in (None, "cut_after"):
        return _planned(put.wire, decision), NOTHING
    fault = put.check(entries)
    if fault:
        record.rejected += len(entries)
        return put.wire.refuse(fault), NOTHING
    # AWS authorizes a request before it looks at what is in its entries.
    if plan.denied_detail_type and any(_is_denied(entry, plan) for entry in entries):
        return put.wire.refuse(DENIED), NOTHING
    faults = _check(put, entries, plan, decision)
    kept = {index: entry for index, entry in enumerate(entries) if not faults[index]}
    taken = await put.take(kept, hold=plan.hold)
    if isinstance(taken, Response):
        return taken, NOTHING
    before = len(record.accepted)
    results = record.answer(entries, faults, taken, bus_of=put.bus_of, marks=decision.marks())
    lines = range(before, len(record.accepted))
    arrival[2] = len(lines)
    failed = sum("ErrorCode" in result for result in results)
    return put.wire.answer({"FailedEntryCount": failed, "Entries": results}), lines


def _is_denied(entry: Entry, plan: FaultPlan) -> bool:
    return fnmatchcase(entry.get("DetailType") or "", plan.denied_detail_type)


def _check(put: Put, entries: list[Entry], plan: FaultPlan, decision: Decision) -> list[Fault | None]:
    """Why each entry is refused, by the rules or else by the plan, or None."""

    def planned(index: int, entry: Entry) -> Fault | None:
        return PLANNED_ENTRIES.get(plan.decide_entry(decision.number, index, entry.get("Detail") or ""))

    return [put.check_entry(entry) or planned(index, entry) for index, entry in enumerate(entries)]


def _planned(wire: Wire, decision: Decision) -> Response:
    """What answers a request of which nothing is accepted by plan."""
    if decision.fault == "throttle":
        return wire.refuse(THROTTLED)
    return wire.refuse(SERVER_ERRORS[decision.status], decision.status)


class BusPut:
    """PutEvents to buses of moto's."""

    wire = JsonWire()

    def __init__(self, request: Request, body: bytes, moto: Moto, limits: Limits) -> None:
        self._request = request
        self._body = body
        self._moto = moto
        self._limits = limits

    def read(self) -> list[Entry]:
        """Its entries. Raises Refused where the body is no such request."""
        return json_entries(self._body)

    def check(self, entries: list[Entry]) -> Fault | None:
        """Why it is refused as a whole, or None."""
        return check_request(entries, self._limits)

    def check_entry(self, entry: Entry) -> Fault | None:
        """Why a single entry is refused, or None."""
        return check_entry(entry, self._limits)

    def bus_of(self, entry: Entry) -> str:
        """The name of the bus that an entry is for."""
        return bus_name(entry)

    async def take(self, kept: dict[int, Entry], *, hold: bool) -> dict[int, Result] | Response:
        """The results of entries on buses that exist: moto's, or those of the front if it is to hold them."""
        there = {bus for bus in map(bus_name, kept.values()) if await self._moto.has_bus(self._request, bus)}
        taken = {index: entry for index, entry in kept.items() if bus_name(entry) in there}
        if hold or not taken:
            return {index: success() for index in taken}
        answer = await self._moto.send(self._request, orjson.dumps({"Entries": list(taken.values())}))
        if answer.status_code != 200:
            return answer
        return dict(zip(taken, orjson.loads(answer.body)["Entries"], strict=True))


def json_entries(body: bytes) -> list[Entry]:
    """The entries of a body in JSON. Raises Refused where it holds none."""
    try:
        return read_entries(body)
    except ValueError as error:
        raise Refused("SerializationException", str(error)) from error
