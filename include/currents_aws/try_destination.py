"""Tries a destination with events: sends one of each event type, and looks whether they arrive."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

from currents_aws.arrival import Places, arrived, places_of_bus, places_of_custom_bus
from currents_aws.preflight import Clients
from currents_core.crew import Crew
from currents_core.delivering.send_tests import Outcome, send_tests
from currents_core.ports import Finding, Target
from currents_core.setup.settings import Connector

# How long to look for the events. EventBridge usually takes half a second.
_LOOK_SECONDS = 20.0
_NO_PLACE = "not confirmed: no rule or subscriber that may take it has a target that can be read"


class Tried(NamedTuple):
    """What became of the test events, in a line each, with notes; and how many were refused."""

    findings: list[Finding]
    refused: int = 0


def try_destination(
    connector: Connector, target: Target, clients: Clients | None, crew: Crew, seconds: float = _LOOK_SECONDS
) -> Tried:
    """Sends a test event of each event type that the connector exports, and tells what became of it in a line each.

    ``target`` is the destination; a custom bus must be named by its ARN. ``clients`` makes a boto3 client of a service,
    in the account in which the events arrive; None if nothing is known of that account. Their ids are others each time.
    Raises the CurrentsError that ends all sending.
    """
    sending = f"{crew.now():%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
    since = crew.now()
    tested = send_tests(connector, target, sending, crew)
    if not tested:
        return Tried([Finding("test events", "none, because Braze documents none of the event types", is_warning=True)])
    accepted = [each for each in tested if not each.refusal]
    places = Places([], [])
    if clients and accepted:
        places = _places(connector, clients, sending, since=since, event_types=[each.event_type for each in accepted])
    elif accepted:
        places.notes.append("no connection to the account in which the events arrive is known")
    found = arrived(places.readable, [each.id for each in accepted], crew, seconds)
    unseen = _unseen(places, seconds)
    notes = [Finding("arrival", note, is_warning=True) for note in (*places.notes, *found.notes)]
    lines = [_line(each, found.where.get(each.id), unseen) for each in tested]
    return Tried([*lines, *notes], len(tested) - len(accepted))


def _places(connector: Connector, clients: Clients, sending: str, *, since: datetime, event_types: list[str]) -> Places:
    name = connector.destination_name
    if connector.destination.kind == "custom_bus":
        return places_of_custom_bus(clients, name, sending, since)
    wanted = {"source": [connector.event_source], "detail-type": event_types}
    return places_of_bus(clients, name, wanted, sending, since)


def _unseen(places: Places, seconds: float) -> str:
    """What is said of an event that was seen nowhere."""
    if not places.readable:
        return _NO_PLACE
    names = ", ".join(each.name for each in places.readable)
    return f"not seen within {seconds:.0f} s in {names}; no rule took it, or a consumer was quicker"


def _line(tested: Outcome, place: str | None, unseen: str) -> Finding:
    if tested.refusal:
        return Finding(tested.event_type, f"refused: {tested.refusal}", is_warning=True)
    if place:
        return Finding(tested.event_type, f"accepted, and arrived in {place}")
    return Finding(tested.event_type, f"accepted; {unseen}")
