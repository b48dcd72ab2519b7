from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.config import Config

from include.adapters.event_bus import EventBus
from include.currents.entry import Entry
from include.currents.errors import SetupError
from include.currents.ports import Failed, Invalid, Sent
from tests.tools.local_aws import LocalAws

ENTRY = Entry(
    row=0,
    source="braze.currents",
    detail_type="users.messages.email.Open",
    detail='{"id":"é😀"}',
    time=1_795_420_801,
    resource="arn:aws:s3:::bucket/key",
    size=100,
)


def test_an_entry_arrives_with_all_that_it_carries(aws: LocalAws, bus: str) -> None:
    assert EventBus(aws.client("events"), bus).send([ENTRY]) == [Sent()]
    assert aws.accepted() == [
        {
            "EventBusName": bus,
            "Source": "braze.currents",
            "DetailType": "users.messages.email.Open",
            "Detail": '{"id":"é😀"}',
            "Time": 1_795_420_801,
            "Resources": ["arn:aws:s3:::bucket/key"],
        }
    ]


def test_answers_are_told_apart_entry_by_entry(aws: LocalAws, bus: str) -> None:
    malformed = replace(ENTRY, detail="[1]")
    first, second, third = EventBus(aws.client("events"), bus).send([ENTRY, malformed, ENTRY])
    assert (first, third) == (Sent(), Sent())
    assert isinstance(second, Invalid)
    assert second.code == "MalformedDetail"


def test_a_bus_by_its_arn_is_the_same_bus(aws: LocalAws, bus: str) -> None:
    arn = aws.client("events").describe_event_bus(Name=bus)["Arn"]
    target = EventBus(aws.client("events"), arn)
    target.preflight()
    assert target.send([ENTRY]) == [Sent()]


def test_a_missing_bus_is_found_before_events_are_lost_on_it(aws: LocalAws) -> None:
    target = EventBus(aws.client("events"), "no-such-bus")
    with pytest.raises(
        SetupError, match=r"the event bus no-such-bus in us-east-1: ResourceNotFoundException.*create it"
    ):
        target.preflight()
    assert target.send([ENTRY]) == [Sent()], "the service takes the event"
    assert aws.counts()["lost"] == 1, "and loses it"


@contextmanager
def answering(status: int, code: str) -> Iterator[Any]:
    """A client of a server that answers every request with one error; status 0 cuts the connection."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if not status:
                self.connection.close()
                return
            body = json.dumps({"__type": code, "message": "why"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield boto3.client(
            "events",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "code", "kind", "told"),
    [
        (400, "ThrottlingException", Failed, "ThrottlingException"),
        (500, "InternalFailure", Failed, "InternalFailure"),
        (503, "ServiceUnavailable", Failed, "InternalFailure"),
        (0, "", Failed, "InternalFailure"),
        (400, "ValidationException", Invalid, "ValidationException"),
    ],
)
def test_a_request_that_fails_as_a_whole_answers_for_each_of_its_entries(
    status: int, code: str, kind: type, told: str
) -> None:
    with answering(status, code) as client:
        results = EventBus(client, "bus").send([ENTRY, ENTRY])
    assert [(type(each), each.code) for each in results if not isinstance(each, Sent)] == [(kind, told)] * 2


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"])
def test_a_request_that_never_could_go_is_a_wrong_set_up(code: str) -> None:
    with answering(400, code) as client, pytest.raises(SetupError, match=rf"the event bus bus in us-east-1: {code}"):
        EventBus(client, "bus").send([ENTRY])
