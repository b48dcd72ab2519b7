from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import orjson
import pytest

from currents_aws.choose_transport import transport_for
from currents_aws.event_bus import EventBus
from currents_aws.transport import Answer, Completion, NoAnswer
from currents_core.entry import Common, Span
from currents_core.errors import CurrentsError, SetupError
from currents_core.ports import SENT, Failed, Invalid, Result
from tests.tools.awaiting import Awaited
from tests.tools.entries import entries_of
from tests.tools.local_aws import LocalAws

COMMON = Common("braze.currents", "users.messages.email.Open", "arn:aws:s3:::bucket/key")


CANARY = "canary-7f3a"
ABOUT_ANNA = (f'{{"user":{{"user_id":"{CANARY}"}}}}', f'{{"note":"{CANARY}"}}')
ONE, TWO = ('{"id":"é😀"}',), ("{}", "{}")


def answer(target: EventBus, *chunk: Sequence[str]) -> Sequence[Result] | CurrentsError:
    """What becomes of a chunk with these envelopes."""
    entries = [entries_of(each, time=1_795_420_801, common=COMMON, wire=target.wire) for each in chunk]
    awaited = Awaited[Sequence[Result] | CurrentsError]()
    target.send([Span(each, 0, len(each)) for each in entries], awaited)
    return awaited.result()


@pytest.fixture
def target(aws: LocalAws, bus: str) -> Iterator[EventBus]:
    client = aws.client("events")
    found = EventBus(client, transport_for(client), bus)
    yield found
    found.close()


def test_an_entry_arrives_with_all_that_it_carries(aws: LocalAws, target: EventBus, bus: str) -> None:
    assert answer(target, ONE) == [SENT]
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


def test_answers_are_told_apart_entry_by_entry(target: EventBus) -> None:
    results = answer(target, ONE, ("[1]", "{}"))
    assert not isinstance(results, CurrentsError)
    first, second, third = results
    assert (first, third) == (SENT, SENT)
    assert isinstance(second, Invalid)
    assert (second.code, second.whole_request) == ("MalformedDetail", False)


def test_a_bus_by_its_arn_is_the_same_bus(aws: LocalAws, bus: str) -> None:
    client = aws.client("events")
    target = EventBus(client, transport_for(client), client.describe_event_bus(Name=bus)["Arn"])
    target.preflight()
    assert answer(target, ONE) == [SENT]
    target.close()


def test_a_missing_bus_is_found_before_events_are_lost_on_it(aws: LocalAws) -> None:
    client = aws.client("events")
    target = EventBus(client, transport_for(client), "no-such-bus")
    with pytest.raises(
        SetupError, match=r"event bus no-such-bus in us-east-1: lookup failed: ResourceNotFoundException.*create it"
    ):
        target.preflight()
    assert answer(target, ONE) == [SENT], "the service takes the event"
    assert aws.counts()["lost"] == 1, "and loses it"
    target.close()


class Saying:
    """A transport that gives one answer to everything."""

    in_flight = 1

    def __init__(self, said: Answer | NoAnswer | CurrentsError) -> None:
        self._said = said

    def send(self, operation: str, body: bytes, complete: Completion) -> None:
        assert operation == "PutEvents"
        assert len(orjson.loads(body)["Entries"]) == 2
        complete(self._said)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (
            Answer(400, code="ThrottlingException", message="slow"),
            Failed("ThrottlingException", "ThrottlingException slow", "throttled"),
        ),
        (Answer(400, code="Throttling"), Failed("ThrottlingException", "Throttling", "throttled")),
        (Answer(500, code="InternalException"), Failed("InternalFailure", "InternalException", "outage")),
        (Answer(503, code="503"), Failed("InternalFailure", "503", "outage")),
        (
            NoAnswer("cut", maybe_accepted=True),
            Failed("InternalFailure", "no answer (cut)", "outage", maybe_accepted=True),
        ),
        (NoAnswer("no route", maybe_accepted=False), Failed("InternalFailure", "no answer (no route)", "outage")),
        (Answer(400, code="ValidationException", message="m"), Invalid("ValidationException", "m", whole_request=True)),
    ],
)
def test_a_request_that_fails_as_a_whole_answers_for_each_of_its_entries(
    said: Answer | NoAnswer, result: Result, aws: LocalAws
) -> None:
    assert answer(EventBus(aws.client("events"), Saying(said), "bus"), TWO) == [result] * 2


def test_an_answer_that_leaves_entries_out_is_no_answer_for_any(aws: LocalAws) -> None:
    said = Answer(200, {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})
    results = answer(EventBus(aws.client("events"), Saying(said), "bus"), TWO)
    assert not isinstance(results, CurrentsError)
    assert [isinstance(each, Failed) and each.maybe_accepted for each in results] == [True, True]


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"])
def test_a_request_that_never_could_go_is_a_wrong_set_up(code: str, aws: LocalAws) -> None:
    result = answer(EventBus(aws.client("events"), Saying(Answer(400, code=code, message="no")), "bus"), TWO)
    assert isinstance(result, SetupError)
    assert str(result).startswith(f"event bus bus in us-east-1: send failed: {code}: no; ")


def test_codes_of_entries_that_nobody_documents_may_be_tried_again(aws: LocalAws) -> None:
    entries = [{"ErrorCode": "Brandnew", "ErrorMessage": "?"}, {"EventId": "1"}]
    target = EventBus(aws.client("events"), Saying(Answer(200, {"FailedEntryCount": 1, "Entries": entries})), "bus")
    assert answer(target, TWO) == [Failed("Brandnew", "?", "undocumented"), SENT]


@pytest.mark.parametrize(
    "said",
    [
        lambda said: Answer(200, {"FailedEntryCount": 2, "Entries": [{"ErrorCode": "MalformedDetail", **said}] * 2}),
        lambda message: Answer(400, code="ValidationException", message=message["ErrorMessage"]),
        lambda message: Answer(400, code="AccessDeniedException", message=message["ErrorMessage"]),
        lambda message: Answer(500, code="InternalFailure", message=message["ErrorMessage"]),
    ],
)
def test_no_message_quotes_an_entry(said: Callable[[dict[str, str]], Answer], aws: LocalAws) -> None:
    message = {"ErrorMessage": f"can't take\n{CANARY}, nor anna@example.com, nor " + "x" * 10_000}
    result = answer(EventBus(aws.client("events"), Saying(said(message)), "bus"), ABOUT_ANNA)
    assert CANARY not in str(result)
    assert "anna" not in str(result)
    assert "\n" not in str(result)
    assert len(str(result)) < 1_000
