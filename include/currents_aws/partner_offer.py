"""A partner event source as the partner sees it: offered to a customer's account, looked at, and offered again.

Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreatePartnerEventSource.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from currents_aws.asked import asked
from currents_core.connecting.source_life import Offer
from currents_core.errors import SetupError, TransientError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_MISSING, _EXISTS, _DENIED = "ResourceNotFoundException", "ResourceAlreadyExistsException", "AccessDeniedException"
_NO_PARTNER = (
    "only accounts that AWS has registered as partners may offer sources, see "
    "https://aws.amazon.com/eventbridge/partners; if yours is one, grant the permission, else use kind event_bus"
)


@dataclass(frozen=True)
class PartnerOffer:
    """The source called ``name``, offered to ``account``, by a client of the service `events` for the partner."""

    client: EventBridgeClient
    name: str
    account: str

    @property
    def uri(self) -> str:
        """What names it in messages."""
        return f"partner event source {self.name} in {self.client.meta.region_name}"

    def look(self) -> Offer | None:
        """The source as it is now, or None if there is none, since nobody made it, or it expired.

        Raises SetupError if it is offered to another account, or if this account is no partner.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListPartnerEventSourceAccounts.html
        """
        listed = self._asked("list_partner_event_source_accounts", "lookup failed", _MISSING, EventSourceName=self.name)
        if listed is None:
            return None
        accounts = {each["Account"]: each for each in listed["PartnerEventSourceAccounts"]}
        found = accounts.get(self.account)
        if found:
            return Offer(self.name, found["State"], found.get("CreationTime"), found.get("ExpirationTime"))
        if taken := sorted(accounts):
            raise SetupError(
                f"the name is taken by account {taken[0]}, not {self.account}; correct destination.account, or delete "
                "that source, or name the connector otherwise",
                uri=self.uri,
            )
        return None

    def make(self) -> tuple[Offer, bool]:
        """The source, which is created where there is none or it is deleted, and whether that was done.

        Somebody may do the same at the same time. Raises SetupError as ``look`` does.
        """
        found = self.look()
        if found and not found.is_gone:
            return found, False
        told = {"Name": self.name, "Account": self.account}
        made = self._asked("create_partner_event_source", "creation failed", _EXISTS, **told)
        found = self.look()
        if found is None or found.is_gone:
            raise TransientError("it can't be seen yet; clear the task to look again", uri=self.uri)
        return found, made is not None

    def _asked(self, operation: str, failure: str, expected: str, **told: str) -> Any:
        try:
            return asked(getattr(self.client, operation), self.uri, failure, expected, **told)
        except SetupError as error:
            if error.code != _DENIED:
                raise
            raise SetupError(f"{failure}: {_DENIED}; {_NO_PARTNER}", uri=self.uri, code=_DENIED) from error
