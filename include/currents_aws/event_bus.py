"""An EventBridge event bus as a target: PutEvents, over either transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from currents_aws.aws_errors import THROTTLING, is_passing, remedy, translate
from currents_aws.entry_result import entry_result
from currents_aws.json_wire import JsonWire, body_of
from currents_aws.scrub import scrubbed
from currents_aws.transport import Answer, NoAnswer, Transport
from currents_core.entry import Span, Wire
from currents_core.errors import CurrentsError, SetupError
from currents_core.limits import EVENT_BUS, Limits
from currents_core.ports import SENT, Completion, Failed, Invalid, Result

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


class EventBus:
    """The event bus ``name``, which may be its ARN.

    ``client`` is a boto3 client of the service `events`; ``transport`` carries the put requests.
    """

    def __init__(self, client: EventBridgeClient, transport: Transport, name: str, limits: Limits = EVENT_BUS) -> None:
        self._client = client
        self._transport = transport
        self._name = name
        self.limits = limits
        self.wire: Wire = JsonWire({"EventBusName": name})
        self.in_flight = transport.in_flight
        self.close = transport.close

    def preflight(self) -> None:
        """Looks the bus up, because EventBridge accepts and drops events for a bus that does not exist.

        Raises SetupError if it does not exist or can't be looked up, TransientError if the call may work later.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeEventBus.html
        """
        try:
            self._client.describe_event_bus(Name=self._name)
        except (ClientError, BotoCoreError) as error:
            raise translate(error, "lookup failed", self._uri) from error

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        """Sends one chunk in one request; see ``Target``.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
        """
        count = sum(map(len, chunk))
        self._transport.send("PutEvents", body_of(chunk), lambda answer: complete(self._results(answer, chunk, count)))

    def _results(
        self, answer: Answer | NoAnswer | CurrentsError, chunk: Sequence[Span], count: int
    ) -> Sequence[Result] | CurrentsError:
        if isinstance(answer, CurrentsError):
            return answer
        if isinstance(answer, NoAnswer):
            return [
                Failed("InternalFailure", f"no answer ({scrubbed(answer.reason)})", "outage", answer.maybe_accepted)
            ] * count
        if answer.code:
            refusal = self._refusal(answer, chunk)
            return refusal if isinstance(refusal, CurrentsError) else [refusal] * count
        results = answer.output.get("Entries", ())
        if len(results) != count:
            incomplete = "the answer lacks the results of some entries"
            return [Failed("InternalFailure", incomplete, "outage", maybe_accepted=True)] * count
        if not answer.output.get("FailedEntryCount"):
            return [SENT] * count
        entries = (entry for span in chunk for entry in span)
        return [_result(each, entry.detail) for each, entry in zip(results, entries, strict=True)]

    def _refusal(self, answer: Answer, chunk: Sequence[Span]) -> Result | SetupError:
        """What the error of a whole request means for each of its entries, or for the sending as a whole."""
        details = [entry.detail for span in chunk for entry in span]
        code, message = scrubbed(answer.code), scrubbed(answer.message, f"[{','.join(details)}]")
        if is_passing(answer.code, answer.status):
            known = "ThrottlingException" if answer.code in THROTTLING else "InternalFailure"
            return entry_result(known, f"{code} {message}".strip())
        if answer.code in ("ValidationException", "SerializationException"):
            return Invalid(code, message, whole_request=True)
        text = f"send failed: {code}: {message}; {remedy(answer.code)}"
        return SetupError(text, uri=self._uri, code=code)

    @property
    def _uri(self) -> str:
        return f"event bus {self._name} in {self._client.meta.region_name}"


def _result(told: Mapping[str, Any], detail: str) -> Result:
    code, message = told.get("ErrorCode") or "", told.get("ErrorMessage") or ""
    return entry_result(scrubbed(code), scrubbed(message, detail)) if code else SENT
