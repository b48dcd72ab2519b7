from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from currents_aws.cbor_wire import CborWire
from currents_aws.memory import MemoryTarget
from currents_aws.permission import permission
from currents_core.entry import Common, Span
from currents_core.errors import CurrentsError, SetupError, TransientError
from currents_core.ports import SENT, Completion, Failed, Finding, Invalid, Result

ACTION, URI = "events:PutEvents", "event bus b in us-east-1"
OPEN, CLICK = (Common("braze.currents", f"users.messages.email.{name}", "r") for name in ("Open", "Click"))
MALFORMED = Invalid("MalformedDetail", "Detail is malformed.")
DENIED = SetupError("send failed: AccessDeniedException: no; grant it", uri=URI, code="AccessDeniedException")

Answer = Callable[[str], Result | CurrentsError]


class Answering(MemoryTarget):
    """A destination whose answer depends on the detail type alone."""

    def __init__(self, answers: Answer) -> None:
        super().__init__()
        self.answers = answers
        self.tried: list[Any] = []

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        [[entry]] = chunk
        self.tried.append(entry)
        result = self.answers(entry.detail_type)
        complete(result if isinstance(result, CurrentsError) else [result])


def found(answers: Answer, *probes: Common) -> Finding:
    return permission(Answering(answers), ACTION, URI, probes or (OPEN,))


def test_an_entry_that_is_refused_for_its_form_was_allowed() -> None:
    allowed = "events:PutEvents is allowed (a malformed entry was refused for its form, MalformedDetail)"
    assert found(lambda _: MALFORMED) == Finding("permission", allowed)


@pytest.mark.parametrize("wire", [None, CborWire("orders")])
def test_a_probe_is_like_an_event_but_no_json(wire: CborWire | None) -> None:
    target = Answering(lambda _: MALFORMED)
    target.wire = wire or target.wire
    permission(target, ACTION, URI, [OPEN])
    [entry] = target.tried
    assert (entry.source, entry.detail_type, entry.resource) == tuple(OPEN)
    assert entry.detail.startswith("A probe of the exporter.")


@pytest.mark.parametrize(
    "answer",
    [
        DENIED,
        Invalid("NotAuthorizedForSourceException", "no", by_policy=True),
        Invalid("AccessDeniedException", "", by_policy=True),
    ],
)
def test_a_denial_names_the_action_and_the_resource(answer: Result | CurrentsError) -> None:
    told = rf"^{URI}: events:PutEvents is denied of users\.messages\.email\.Open: .*; grant "
    with pytest.raises(SetupError, match=told):
        found(lambda _: answer)


def test_a_denial_of_some_event_types_is_no_reason_to_send_nothing() -> None:
    found_of_both = found(lambda kind: DENIED if kind == OPEN.detail_type else MALFORMED, OPEN, CLICK)
    assert found_of_both.is_warning
    assert "is allowed" in found_of_both.found
    assert ", but events:PutEvents is denied of users.messages.email.Open: send failed: Acc" in found_of_both.found


def test_a_denial_of_all_names_each() -> None:
    with pytest.raises(SetupError, match=r"is denied of users\.messages\.email\.Open and of users\.messages\.email\.C"):
        found(lambda _: DENIED, OPEN, CLICK)


def test_once_one_is_allowed_nothing_else_is_tried() -> None:
    target = Answering(lambda _: MALFORMED)
    permission(target, ACTION, URI, [OPEN, CLICK])
    assert len(target.tried) == 1


@pytest.mark.parametrize(
    ("answer", "told", "is_warning"),
    [
        (Failed("ThrottlingException", "slow", "throttled"), "not told, because a probe of .* failed", False),
        (Invalid("ValidationException", "?", whole_request=True), "not told, because .* refused as a whole", False),
        (SENT, "is allowed, but the probe was taken", True),
    ],
)
def test_what_tells_nothing_stops_nothing(answer: Result, told: str, is_warning: bool) -> None:
    finding = found(lambda _: answer)
    assert finding.is_warning is is_warning
    assert re.search(told, finding.found)


@pytest.mark.parametrize("error", [SetupError("no credentials"), TransientError("x"), CurrentsError("y")])
def test_what_ends_all_sending_is_raised_as_it_is(error: CurrentsError) -> None:
    with pytest.raises(type(error)) as raised:
        found(lambda _: error)
    assert raised.value is error
