"""A partner event source as a target: PutPartnerEvents, and looks at the source's state.

EventBridge accepts what is sent to a source that is not associated with a bus, and drops it. So an answer to a put
request does not tell whether events arrive; a look that finds the source ACTIVE does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from currents_aws.aws_errors import AWS_ERRORS, AwsError, code_of, translate
from currents_aws.json_wire import JsonWire, body_of
from currents_aws.put_target import PutTarget
from currents_aws.transport import Answer, NoAnswer, Transport
from currents_core.connecting.source_life import Offer
from currents_core.entry import Span
from currents_core.errors import CurrentsError, DroppedError, SetupError, TransientError
from currents_core.limits import PARTNER_SOURCE, Limits
from currents_core.ports import Finding, Invalid, Result

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_CONNECT = "run the connector's connect DAG, {}, then clear the task to resume"
_GONE = f"it expired, was deleted, or was never created; {_CONNECT.format('which creates it')}"
_ONLY_PARTNERS = (
    "only an account that AWS registered as a partner can have event sources, under the name that it registered; check "
    "the account and the permissions of the Airflow connection, and partner_name"
)
# Source: https://docs.aws.amazon.com/eventbridge/latest/onboarding/amazon_eventbridge_partner_onboarding_guide.html
# Of an entry. All entries have the same source, so this is no fault of the one.
_NOT_ITS_SOURCE = "NotAuthorizedForSourceException"
_REFUSED = frozenset({"AccessDeniedException", "AccessDenied"})


def offered(client: EventBridgeClient, name: str, account: str) -> Offer | None:
    """The partner event source ``name`` of a customer's ``account``; None if there is none.

    ``client`` is of the partner's account. Raises SetupError if it may not look, TransientError if that may pass.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListPartnerEventSourceAccounts.html
    """
    try:
        answer = client.list_partner_event_source_accounts(EventSourceName=name)
    except AWS_ERRORS as error:
        if isinstance(error, ClientError) and code_of(error) == "ResourceNotFoundException":
            return None
        raise partner_fault(error, "lookup failed", f"partner event source {name}") from error
    # What botocore can't read is an empty answer to it.
    if "PartnerEventSourceAccounts" not in answer:
        raise TransientError("lookup failed: the answer can't be read", uri=f"partner event source {name}")
    found = next((each for each in answer["PartnerEventSourceAccounts"] if each.get("Account") == account), None)
    if found is None:
        return None
    return Offer(name, found.get("State", "PENDING"), found["CreationTime"], found.get("ExpirationTime"))


def partner_fault(error: AwsError, failure: str, uri: str) -> CurrentsError:
    """The fault for an error of an operation that only partners may call. See ``translate``."""
    found = translate(error, failure, uri)
    if found.code in _REFUSED:
        return SetupError(f"{failure}: {found.code}; {_ONLY_PARTNERS}", uri=uri, code=found.code)
    return found


class PartnerSource(PutTarget):
    """The partner event source ``name``, which is for the customer's ``account``.

    ``client`` is a boto3 client of the service `events`, for looks; ``transport`` carries the put requests. Both are of
    the partner's account.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPartnerEvents.html
    """

    def __init__(
        self,
        client: EventBridgeClient,
        transport: Transport,
        name: str,
        account: str,
        limits: Limits = PARTNER_SOURCE,
    ) -> None:
        uri = f"partner event source {name} in {client.meta.region_name}"
        super().__init__(transport, "PutPartnerEvents", JsonWire(), limits, uri)
        self._client = client
        self._name = name
        self._account = account
        self._created: datetime | None = None

    def found(self) -> Finding:
        """Looks whether the source is ACTIVE; see ``look``."""
        self.look()
        return Finding("source", f"{self._name} is ACTIVE")

    def body(self, chunk: Sequence[Span]) -> bytes:
        """The body of the request that sends a chunk."""
        return body_of(chunk)

    def _results(
        self, answer: Answer | NoAnswer | CurrentsError, chunk: Sequence[Span]
    ) -> Sequence[Result] | CurrentsError:
        results = super()._results(answer, chunk)
        if not isinstance(results, CurrentsError) and any(map(_is_of_the_source, results)):
            return SetupError(f"send failed: {_NOT_ITS_SOURCE}; {_GONE}", uri=self.uri, code=_NOT_ITS_SOURCE)
        return results

    def look(self) -> None:
        """Looks whether what was sent since the last look has arrived; see ``Target``.

        Raises SetupError if the source is not ACTIVE, DroppedError if it was deleted and created anew meanwhile,
        TransientError if the look fails.
        """
        found = offered(self._client, self._name, self._account)
        if found is None or not found.is_active:
            raise SetupError(_why_not(found), uri=self.uri)
        if self._created and found.created != self._created:
            raise DroppedError(
                "it was deleted and created anew meanwhile; what was sent since the last look goes again, clear the "
                "task to resume",
                uri=self.uri,
            )
        self._created = found.created


def _is_of_the_source(result: Result) -> bool:
    return isinstance(result, Invalid) and result.code == _NOT_ITS_SOURCE


def _why_not(found: Offer | None) -> str:
    """Why nothing may be sent, and what to do."""
    if found is None or found.is_gone:
        return f"there is no such source: {_GONE}"
    until = f" until {found.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if found.expires else ""
    return (
        f"it is {found.state}{until}, so EventBridge would drop what is sent: the customer has not associated it with "
        f"a bus; {_CONNECT.format('which tells the steps')}"
    )
