"""An EventBridge event bus as a target: PutEvents through boto3."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as AwsConnectionError

from include.adapters.aws_errors import THROTTLING, code_of, is_passing, translate
from include.currents.entry import Entry
from include.currents.limits import EVENT_BUS, Limits
from include.currents.ports import Failed, Invalid, Result, Sent
from include.currents.retry import FINAL_CODES

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef, PutEventsResultEntryTypeDef


class EventBus:
    """The bus ``name`` (or its ARN), through a boto3 client of the service `events`. Safe to share between threads."""

    def __init__(self, client: EventBridgeClient, name: str, limits: Limits = EVENT_BUS) -> None:
        self._client = client
        self._name = name
        self.limits = limits

    def preflight(self) -> None:
        """Raises SetupError where the bus does not exist: EventBridge takes events for such a bus and drops them.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeEventBus.html
        """
        try:
            self._client.describe_event_bus(Name=self._name)
        except (ClientError, BotoCoreError) as error:
            raise translate(error, self._doing("looking for")) from error

    def send(self, entries: Sequence[Entry]) -> list[Result]:
        """Sends one chunk in one request, and answers entry by entry, in order.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
        """
        try:
            answer = self._client.put_events(Entries=[self._item(entry) for entry in entries])
        except ClientError as error:
            return [self._refusal(error)] * len(entries)
        except (HTTPClientError, AwsConnectionError) as error:
            # The request may have been taken all the same; sending again is what "at least once" asks for.
            return [Failed("InternalFailure", f"no answer ({type(error).__name__})")] * len(entries)
        except BotoCoreError as error:
            raise translate(error, self._doing("sending to")) from error
        return [_result(each) for each in answer["Entries"]]

    def _item(self, entry: Entry) -> PutEventsRequestEntryTypeDef:
        return {
            "EventBusName": self._name,
            "Source": entry.source,
            "DetailType": entry.detail_type,
            "Detail": entry.detail,
            "Time": datetime.fromtimestamp(entry.time, UTC),
            "Resources": [entry.resource],
        }

    def _refusal(self, error: ClientError) -> Result:
        """The result of every entry of a request that failed as a whole; raises where no request could go."""
        code, message = code_of(error), str(error.response.get("Error", {}).get("Message", ""))
        if is_passing(error):
            return Failed("ThrottlingException" if code in THROTTLING else "InternalFailure", message)
        if code == "ValidationException":
            return Invalid(code, message)
        raise translate(error, self._doing("sending to")) from error

    def _doing(self, verb: str) -> str:
        return f"{verb} the event bus {self._name} in {self._client.meta.region_name}"


def _result(answer: PutEventsResultEntryTypeDef) -> Result:
    code = answer.get("ErrorCode")
    if not code:
        return Sent()
    kind = Invalid if code in FINAL_CODES else Failed
    return kind(code, answer.get("ErrorMessage", ""))
