"""What the kinds of destinations share: entries are sent by one put operation, and its answer tells of each of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from currents_aws.aws_errors import fault, is_passing, is_throttling
from currents_aws.entry_result import entry_result
from currents_aws.permission import permission
from currents_aws.scrub import scrubbed
from currents_aws.transport import Answer, NoAnswer, Transport
from currents_core.entry import Common, Span, Wire
from currents_core.errors import CurrentsError
from currents_core.limits import Limits
from currents_core.ports import DEDUPLICATED, SENT, Completion, Failed, Finding, Invalid, Result

# A request that is refused for what is in it. Others are refused for who sends it, and where.
_OF_CONTENT = frozenset({"ValidationException", "SerializationException", "InvalidInputException"})
# Source: https://www.rfc-editor.org/rfc/rfc9110#section-15.5.14
_TOO_LARGE = 413


class PutTarget:
    """A destination that ``transport`` carries requests of ``operation`` to. ``uri`` names it in messages."""

    # An accepted entry has arrived.
    look: Callable[[], None] | None = None

    def __init__(self, transport: Transport, operation: str, wire: Wire, limits: Limits, uri: str) -> None:
        self.wire = wire
        self.limits = limits
        self.uri = uri
        self.in_flight = transport.in_flight
        self.close = transport.close
        self._transport = transport
        self._operation = operation

    def preflight(self, probes: Sequence[Common] = ()) -> list[Finding]:
        """Checks the destination before a run; see ``Target``."""
        found = [self.found()]
        if probes:
            found.append(permission(self, f"events:{self._operation}", self.uri, probes))
        return found

    @abstractmethod
    def found(self) -> Finding:
        """Looks the destination up. Raises SetupError if it can't take events, TransientError if that may pass."""

    @abstractmethod
    def body(self, chunk: Sequence[Span]) -> bytes:
        """The body of the request that sends a chunk."""

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        """Sends one chunk in one request; see ``Target``."""
        self._transport.send(self._operation, self.body(chunk), lambda answer: complete(self._results(answer, chunk)))

    def _results(
        self, answer: Answer | NoAnswer | CurrentsError, chunk: Sequence[Span]
    ) -> Sequence[Result] | CurrentsError:
        if isinstance(answer, CurrentsError):
            return answer
        count = sum(map(len, chunk))
        if isinstance(answer, NoAnswer):
            no_answer = f"no answer ({scrubbed(answer.reason)})"
            return [Failed("InternalFailure", no_answer, "outage", answer.maybe_accepted)] * count
        if answer.code:
            refusal = self._refusal(answer, chunk)
            return refusal if isinstance(refusal, CurrentsError) else [refusal] * count
        results = answer.output.get("Entries")
        if not isinstance(results, list) or len(results) != count or not all(isinstance(one, dict) for one in results):
            incomplete = "the answer lacks the results of some entries"
            return [Failed("InternalFailure", incomplete, "outage", maybe_accepted=True)] * count
        if not any(one.get("ErrorCode") for one in results):
            return [_accepted(one) for one in results] if "SuccessCode" in results[0] else [SENT] * count
        entries = (entry for span in chunk for entry in span)
        return [_result(each, entry.detail) for each, entry in zip(results, entries, strict=True)]

    def _refusal(self, answer: Answer, chunk: Sequence[Span]) -> Result | CurrentsError:
        """What the error of a whole request means for each of its entries, or for the sending as a whole."""
        details = [entry.detail for span in chunk for entry in span]
        code, message = scrubbed(answer.code), scrubbed(answer.message, f"[{','.join(details)}]")
        if is_passing(answer.code, answer.status):
            known = "ThrottlingException" if is_throttling(answer.code, answer.status) else "InternalFailure"
            return entry_result(known, f"{code} {message}".strip())
        if answer.code in _OF_CONTENT or answer.status == _TOO_LARGE:
            return Invalid(code, message, whole_request=True)
        return fault("send failed", code, message, answer.status, self.uri)


def _result(told: Mapping[str, Any], detail: str) -> Result:
    code, message = told.get("ErrorCode") or "", told.get("ErrorMessage") or ""
    return entry_result(scrubbed(code), scrubbed(message, detail)) if code else _accepted(told)


def _accepted(told: Mapping[str, Any]) -> Result:
    return DEDUPLICATED if told.get("SuccessCode") == "DEDUPLICATED" else SENT
