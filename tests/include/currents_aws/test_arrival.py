from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from currents_aws.arrival import arrived, places_of_bus
from currents_core.crew import Threads
from tests.tools.house import NOW
from tests.tools.local_aws import LocalAws


class Clock(Threads):
    """Threads whose sleep takes no time but for the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_is = 0.0

    def sleep(self, seconds: float) -> None:
        self.now_is += seconds

    def seconds(self) -> float:
        return self.now_is


class Telling:
    """A place that tells one batch of texts after the other, and then nothing, or fails."""

    def __init__(self, name: str, *batches: list[str], error: Exception | None = None) -> None:
        self.name = name
        self.batches = list(batches)
        self.error = error
        self.looks = 0

    def texts(self) -> Iterable[str]:
        self.looks += 1
        if self.batches:
            return self.batches.pop(0)
        if self.error:
            raise self.error
        return []


def test_each_id_is_seen_where_it_came_first() -> None:
    places = [Telling("a", ["x 1 y"], [], ["2 3"]), Telling("b", ["1 2"])]
    found = arrived(places, ["1", "2", "3"], Clock(), 10)
    assert found.where == {"1": "a", "2": "b", "3": "a"}
    assert found.notes == []


def test_it_looks_again_at_once_while_something_comes_and_waits_where_nothing_does() -> None:
    clock = Clock()
    assert (
        len(arrived([Telling("a", *[[str(each)] for each in range(50)])], list(map(str, range(50))), clock, 3).where)
        == 50
    )
    assert clock.now_is == 0
    place = Telling("b", ["1"])
    assert arrived([place], ["1", "2"], clock, 3).where == {"1": "b"}
    assert (clock.now_is, place.looks) == (3, 5)


def test_a_place_that_fails_is_told_once_and_the_others_go_on() -> None:
    error = EndpointConnectionError(endpoint_url="https://sqs.us-east-1.amazonaws.com")
    places = [Telling("a", error=error), Telling("b", [], ["1"])]
    found = arrived(places, ["1"], Clock(), 10)
    assert found == ({"1": "b"}, ["a can't be read (EndpointConnectionError)"])


@pytest.mark.parametrize("ids", [[], ["1"]])
def test_where_there_is_nothing_to_look_at_or_for_nobody_waits(ids: list[str]) -> None:
    clock = Clock()
    assert arrived([] if ids else [Telling("a")], ids, clock, 10) == ({}, [])
    assert clock.now_is == 0


def test_rules_are_found_on_later_pages_and_each_target_once(aws: LocalAws, bus: str) -> None:
    events, queue = aws.client("events"), "arn:aws:sqs:us-east-1:123456789012:later"
    aws.client("sqs").create_queue(QueueName="later")
    for number in range(60):
        name, source = f"rule-{number:02}", "braze.currents" if number > 57 else "another"
        events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": [source]}))
        if number > 57:
            events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "1", "Arn": queue}])
    asked: list[str] = []

    def client(service: str) -> Any:
        found = aws.client(service)
        found.meta.events.register("before-call", lambda model, **_: asked.append(model.name))
        return found

    places = places_of_bus(client, bus, {"source": ["braze.currents"]}, "a", NOW)
    assert [each.name for each in places.readable] == ["queue later"]
    assert asked.count("ListTargetsByRule") == 2, "no other rule can take the events"
