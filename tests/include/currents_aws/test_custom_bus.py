from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.config import Config

from currents_aws.boto3_transport import Boto3Transport
from currents_aws.crt_transport import CrtTransport
from currents_aws.custom_bus import CustomBus
from currents_aws.transport import Answer, Completion, NoAnswer
from currents_core.entry import Common, Span
from currents_core.errors import CurrentsError, SetupError, TransientError
from currents_core.ports import DEDUPLICATED, SENT, Failed, Invalid, Result
from tests.tools.awaiting import Awaited
from tests.tools.entries import entries_of
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import LocalAws

COMMON = Common("braze.currents", "users.messages.email.Open", "arn:aws:s3:::bucket/key")
ABSENT = "arn:aws:events:us-east-1:123456789012:event-busv2/absent/abcdefghijklmnopqrstuvwxy"
# The earliest and the latest time that a date can hold.
TIMES = [0, 1_795_420_801, 253_402_300_799]


def answer(
    target: CustomBus,
    *envelopes: str,
    first: int = 0,
    time: int = 1_795_420_801,
    users: Sequence[str | None] | None = None,
) -> Sequence[Result] | CurrentsError:
    """What becomes of a chunk with these envelopes, whose ids are numbers from ``first`` on."""
    entries = entries_of(envelopes, first=first, time=time, common=COMMON, wire=target.wire, users=users)
    awaited = Awaited[Sequence[Result] | CurrentsError]()
    target.send([Span(entries, 0, len(entries))], awaited)
    return awaited.result()


@pytest.fixture
def arn(aws: LocalAws) -> str:
    made = aws.client("eventbridgev2").create_event_bus(Name=f"bus-{uuid.uuid4()}")
    aws.forward(5)
    return str(made["EventBusArn"])


@pytest.fixture(params=[CrtTransport, Boto3Transport])
def make(aws: LocalAws, request: pytest.FixtureRequest) -> Iterator[Callable[..., CustomBus]]:
    """Makes targets that send over one transport or the other."""
    made: list[CustomBus] = []

    def target(arn: str, **options: Any) -> CustomBus:
        client: Any = boto3.Session().client(
            "eventbridgev2",
            "us-east-1",
            endpoint_url=aws.endpoint,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(retries={"total_max_attempts": 1}),
        )
        made.append(CustomBus(request.param(client), arn, **options))
        return made[-1]

    yield target
    for each in made:
        each.close()


@pytest.mark.parametrize("time", TIMES)
def test_an_entry_arrives_with_all_that_it_carries(
    aws: LocalAws, make: Callable[..., CustomBus], arn: str, time: int
) -> None:
    before = aws.counts()["accepted"]
    target = make(arn)
    target.preflight()
    assert answer(target, '{"id":"é😀"}', time=time) == [SENT]
    [line] = aws.accepted(before)
    assert line["Detail"] == '{"id":"é😀"}'
    assert (line["Source"], line["DetailType"], line["Resources"]) == (
        COMMON.source,
        COMMON.detail_type,
        [COMMON.resource],
    )
    assert line["SystemMetadata"]["DeduplicationId"].endswith(":id 0")


def test_a_hundred_entries_go_in_one_request(aws: LocalAws, make: Callable[..., CustomBus], arn: str) -> None:
    before = aws.counts()["requests"]
    assert answer(make(arn), *["{}"] * 100) == [SENT] * 100
    assert aws.counts()["requests"] == before + 1


def test_what_the_bus_has_already_is_told_apart(make: Callable[..., CustomBus], arn: str) -> None:
    target = make(arn)
    assert answer(target, "{}", "{}") == [SENT, SENT]
    assert answer(target, "{}", "{}", "{}") == [DEDUPLICATED, DEDUPLICATED, SENT]
    assert answer(target, "{}", "[]", first=2) == [DEDUPLICATED, Invalid("MalformedDetail", "Detail is malformed.")]


def test_what_comes_back_in_the_group_that_it_had_is_deduplicated(
    aws: LocalAws, make: Callable[..., CustomBus], arn: str
) -> None:
    """The bus compares ids within a group only; an event has the group of its user, however often it is sent."""
    before = aws.counts()["accepted"]
    users = [*[f"user {number}" for number in range(40)], None]
    assert answer(make(arn, groups=7), *["{}"] * 41, users=users) == [SENT] * 41
    told = [line["SystemMetadata"].get("EventGroupId") for line in aws.accepted(before)]
    assert {*told} == {None, *map(str, range(7))}
    assert answer(make(arn, groups=7), *["{}"] * 41, users=users) == [DEDUPLICATED] * 41
    assert answer(make(arn, groups=7), "{}", users=["somebody else"]) == [SENT], "the window is the group's"


def test_five_minutes_later_the_bus_takes_it_again(aws: LocalAws, make: Callable[..., CustomBus], arn: str) -> None:
    target = make(arn)
    assert answer(target, "{}") == [SENT]
    aws.forward(301)
    assert answer(target, "{}") == [SENT]


def test_what_is_sent_again_on_purpose_is_taken_once(make: Callable[..., CustomBus], arn: str) -> None:
    assert answer(make(arn), "{}") == [SENT]
    assert answer(make(arn, salt="replay 1"), "{}") == [SENT]
    assert answer(make(arn, salt="replay 1"), "{}") == [DEDUPLICATED], "a retry of the same replay"
    assert answer(make(arn, salt="replay 2"), "{}") == [SENT]


def test_a_bus_that_does_not_exist_is_told_of(make: Callable[..., CustomBus]) -> None:
    target = make(ABSENT)
    with pytest.raises(
        SetupError, match=r"custom bus arn:.*/absent/.*: lookup failed: ResourceNotFoundException.*create"
    ):
        target.preflight()
    told = answer(target, "{}")
    assert isinstance(told, SetupError)
    assert "send failed: ResourceNotFoundException" in str(told)


def test_a_bus_that_is_being_created_is_waited_for(aws: LocalAws, make: Callable[..., CustomBus]) -> None:
    made = aws.client("eventbridgev2").create_event_bus(Name=f"bus-{uuid.uuid4()}")["EventBusArn"]
    with pytest.raises(TransientError, match="it is being created; wait until it is ACTIVE"):
        make(made).preflight()


def test_throttling_is_to_be_tried_again(aws: LocalAws, make: Callable[..., CustomBus], arn: str) -> None:
    aws.set_faults(FaultPlan(throttle=1.0))
    try:
        [told] = answer(make(arn), "{}")  # type: ignore[misc]
    finally:
        aws.set_faults(FaultPlan())
    assert isinstance(told, Failed)
    assert told.cause == "throttled"


class Saying:
    """A transport that gives one answer to everything."""

    in_flight = 1

    def __init__(self, said: Answer | NoAnswer | CurrentsError) -> None:
        self._said = said

    def send(self, operation: str, body: bytes, complete: Completion) -> None:
        complete(self._said)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("state", "fault"), [("CREATE_FAILED", SetupError), ("DELETING", SetupError), ("UPDATING", None), ("ACTIVE", None)]
)
def test_only_a_bus_that_takes_events_passes(state: str, fault: type[CurrentsError] | None) -> None:
    target = CustomBus(Saying(Answer(200, {"State": state, "StateReason": "the key is gone"})), ABSENT)
    if fault:
        with pytest.raises(fault, match=rf"it is {state} \(the key is gone\); create it anew"):
            target.preflight()
    else:
        target.preflight()


@pytest.mark.parametrize(
    ("said", "fault", "told"),
    [
        (Answer(403, code="403", message="Forbidden"), SetupError, "lookup failed: 403: Forbidden; grant"),
        (Answer(429, code="429"), TransientError, "lookup failed: 429; this passes by itself"),
        (Answer(200, {}), SetupError, "it is None"),
        (NoAnswer("UnreadableAnswer", maybe_accepted=True), TransientError, r"no answer \(UnreadableAnswer\); check"),
        (SetupError("no credentials"), SetupError, "no credentials"),
    ],
)
def test_whatever_answers_the_lookup_is_told_in_one_line(
    said: Answer | NoAnswer | CurrentsError, fault: type[CurrentsError], told: str
) -> None:
    with pytest.raises(fault, match=told):
        CustomBus(Saying(said), ABSENT).preflight()


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (Answer(429, code="429"), Failed("ThrottlingException", "429", "throttled")),
        (Answer(408, code="408"), Failed("InternalFailure", "408", "outage")),
        (Answer(413, code="413", message="large"), Invalid("413", "large", whole_request=True)),
    ],
)
def test_what_stands_before_the_service_is_understood_by_its_status(said: Answer, result: Result) -> None:
    assert answer(CustomBus(Saying(said), ABSENT), "{}") == [result]


@pytest.mark.parametrize("entries", [None, "x", [None], [[]], [], {"0": {}}])
def test_an_answer_of_another_form_is_no_answer(entries: Any) -> None:
    said = Answer(200, {"FailedEntryCount": 0, "Entries": entries})
    [told] = answer(CustomBus(Saying(said), ABSENT), "{}")  # type: ignore[misc]
    assert isinstance(told, Failed)
    assert told.maybe_accepted


def test_an_error_counts_whatever_the_count_says() -> None:
    said = Answer(200, {"FailedEntryCount": 0, "Entries": [{"ErrorCode": "MalformedDetail"}]})
    assert answer(CustomBus(Saying(said), ABSENT), "{}") == [Invalid("MalformedDetail", "")]


def test_an_invalid_state_ends_the_sending() -> None:
    target = CustomBus(Saying(Answer(409, code="InvalidStateException", message="not ACTIVE")), ABSENT)
    assert "send failed: InvalidStateException: not ACTIVE; wait until it is ACTIVE" in str(answer(target, "{}"))


def test_two_connectors_may_send_the_same_events_to_one_bus(make: Callable[..., CustomBus], arn: str) -> None:
    assert answer(make(arn, sender="eu"), "{}") == [SENT]
    assert answer(make(arn, sender="us"), "{}") == [SENT]
    assert answer(make(arn, sender="eu"), "{}") == [DEDUPLICATED]
