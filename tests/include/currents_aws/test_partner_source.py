from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest

from currents_aws.choose_transport import transport_for
from currents_aws.partner_source import PartnerSource, offered
from currents_core.entry import Common, Span
from currents_core.errors import CurrentsError, DroppedError, SetupError, TransientError
from currents_core.ports import SENT, Failed, Invalid, Result
from tests.tools.awaiting import Awaited
from tests.tools.entries import entries_of
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import LocalAws

ACCOUNT = "123456789012"
WEEK = 7 * 24 * 3_600


@pytest.fixture
def events(aws: LocalAws) -> Any:
    aws.register_partner()
    return aws.client("events")


@pytest.fixture
def source(events: Any) -> str:
    """The name of a new source, which is PENDING."""
    name = f"aws.partner/example.com/{uuid.uuid4()}/{ACCOUNT}"
    events.create_partner_event_source(Name=name, Account=ACCOUNT)
    return name


@pytest.fixture
def target(events: Any, source: str) -> Iterator[PartnerSource]:
    found = PartnerSource(events, transport_for(events), source, ACCOUNT)
    yield found
    found.close()


def associate(events: Any, source: str) -> None:
    """What the customer does in the console."""
    events.create_event_bus(Name=source, EventSourceName=source)


def answer(target: PartnerSource, source: str, *details: str) -> Sequence[Result] | CurrentsError:
    common = Common(source, "users.messages.email.Open", "arn:aws:s3:::bucket/key")
    entries = entries_of(details, time=1_795_420_801, common=common, wire=target.wire)
    awaited = Awaited[Sequence[Result] | CurrentsError]()
    target.send([Span(entries, 0, len(entries))], awaited)
    return awaited.result()


def test_an_entry_arrives_with_all_that_it_carries(
    aws: LocalAws, events: Any, target: PartnerSource, source: str
) -> None:
    associate(events, source)
    target.look()
    assert answer(target, source, '{"id":"é😀"}') == [SENT]
    assert aws.accepted() == [
        {
            "Source": source,
            "DetailType": "users.messages.email.Open",
            "Detail": '{"id":"é😀"}',
            "Time": 1_795_420_801,
            "Resources": ["arn:aws:s3:::bucket/key"],
        }
    ]


def test_twenty_entries_go_in_a_request_and_each_has_its_answer(
    events: Any, target: PartnerSource, source: str
) -> None:
    associate(events, source)
    assert target.limits.entries_per_request == 20
    results = answer(target, source, "[]", *["{}"] * 19)
    assert not isinstance(results, CurrentsError)
    assert isinstance(results[0], Invalid)
    assert list(results[1:]) == [SENT] * 19
    too_many = answer(target, source, *["{}"] * 21)
    assert not isinstance(too_many, CurrentsError)
    assert all(isinstance(each, Invalid) and each.whole_request for each in too_many)


def test_a_pending_source_takes_events_and_a_look_tells_that_they_are_dropped(
    aws: LocalAws, target: PartnerSource, source: str
) -> None:
    assert answer(target, source, "{}") == [SENT]
    assert not aws.accepted(), "they arrive nowhere"
    with pytest.raises(SetupError, match=r"it is PENDING until 20\d\d-.* UTC.*would drop.*connect DAG"):
        target.look()
    with pytest.raises(SetupError, match="PENDING"):
        target.preflight()


def test_a_source_whose_bus_the_customer_deletes_is_pending_again(
    events: Any, target: PartnerSource, source: str
) -> None:
    associate(events, source)
    target.look()
    events.delete_event_bus(Name=source)
    with pytest.raises(SetupError, match="it is PENDING"):
        target.look()


def test_a_source_that_expired_is_there_no_more(aws: LocalAws, target: PartnerSource, source: str) -> None:
    aws.forward(WEEK)
    with pytest.raises(SetupError, match=r"there is no such source: it expired.*which creates it.*clear the task"):
        target.look()
    # No entry is to blame, so none becomes a dead letter.
    result = answer(target, source, "{}")
    assert isinstance(result, SetupError)
    assert "NotAuthorizedForSourceException; it expired" in str(result)


def test_a_source_that_was_created_anew_since_the_last_look_may_have_dropped_events(
    aws: LocalAws, events: Any, target: PartnerSource, source: str
) -> None:
    associate(events, source)
    target.look()
    events.delete_partner_event_source(Name=source, Account=ACCOUNT)
    events.delete_event_bus(Name=source)
    aws.forward(5)
    events.create_partner_event_source(Name=source, Account=ACCOUNT)
    associate(events, source)
    with pytest.raises(DroppedError, match=r"created anew meanwhile.*goes again"):
        target.look()


def test_an_account_that_is_no_partner_is_told_so_in_one_line(
    aws: LocalAws, events: Any, target: PartnerSource, source: str
) -> None:
    aws.register_partner(is_partner=False)
    with pytest.raises(SetupError, match=r"only an account that AWS registered as a partner") as told:
        target.preflight()
    assert "\n" not in str(told.value)
    assert isinstance(answer(target, source, "{}"), SetupError)


def test_a_source_of_another_account_is_not_this_one(events: Any) -> None:
    name = f"aws.partner/example.com/{uuid.uuid4()}/{ACCOUNT}"
    events.create_partner_event_source(Name=name, Account="999999999999")
    target = PartnerSource(events, transport_for(events), name, ACCOUNT)
    with pytest.raises(SetupError, match="there is no such source"):
        target.look()
    target.close()


def test_throttled_entries_may_be_sent_again(aws: LocalAws, events: Any, target: PartnerSource, source: str) -> None:
    associate(events, source)
    aws.set_faults(FaultPlan(entry_throttle=1.0))
    results = answer(target, source, "{}")
    assert not isinstance(results, CurrentsError)
    assert isinstance(results[0], Failed)


def test_an_answer_to_a_look_that_nobody_can_read_passes_by_itself() -> None:
    class Proxy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Please log in</html>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        Thread(target=server.serve_forever, args=[0.01]).start()
        client: Any = boto3.client(
            "events",
            "us-east-1",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
        with pytest.raises(TransientError, match=r"partner event source .*: lookup failed: the answer can't be read"):
            offered(client, "aws.partner/example.com/x", ACCOUNT)
        server.shutdown()
