"""A partner event source as the partner sees it: offered to a customer's account, looked at, and offered again.

Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreatePartnerEventSource.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from currents_aws.aws_errors import AWS_ERRORS, code_of
from currents_aws.partner_source import offered, partner_fault
from currents_core.connecting.source_life import Offer
from currents_core.errors import SetupError, TransientError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_EXISTS = "ResourceAlreadyExistsException"


@dataclass(frozen=True)
class PartnerOffer:
    """The source called ``name``, offered to ``account``, by a client of the service `events` for the partner."""

    client: EventBridgeClient
    name: str
    account: str

    def look(self) -> Offer | None:
        """The source as it is now, or None if it is not offered, since nobody made it, or it expired.

        Raises SetupError if this account may not look, as it is no partner, TransientError if that may pass.
        """
        return offered(self.client, self.name, self.account)

    def make(self) -> tuple[Offer, bool]:
        """The source, which is created where there is none or it is deleted, and whether that was done.

        Somebody may do the same at the same time. Raises SetupError as ``look`` does, and if another account has the
        name.
        """
        found = self.look()
        if found and not found.is_gone:
            return found, False
        is_new = self._create()
        found = self.look()
        if found and not found.is_gone:
            return found, is_new
        if taken := None if is_new else self._taken_by():
            raise SetupError(
                f"the name is taken by account {taken}, not {self.account}; correct destination.account, delete that "
                "source, or name the connector otherwise",
                uri=self._uri,
            )
        raise TransientError("it can't be seen yet; clear the task to look again", uri=self._uri)

    def _create(self) -> bool:
        """Creates the source. Returns whether the name was free until now."""
        try:
            self.client.create_partner_event_source(Name=self.name, Account=self.account)
        except AWS_ERRORS as error:
            if isinstance(error, ClientError) and code_of(error) == _EXISTS:
                return False
            raise partner_fault(error, "creation failed", self._uri) from error
        return True

    def _taken_by(self) -> str | None:
        """Another account that the name is offered to, if there is one."""
        try:
            told = self.client.list_partner_event_source_accounts(EventSourceName=self.name)
        except AWS_ERRORS as error:
            raise partner_fault(error, "lookup failed", self._uri) from error
        accounts = [each.get("Account") for each in told["PartnerEventSourceAccounts"]]
        return next((each for each in accounts if each and each != self.account), None)

    @property
    def _uri(self) -> str:
        return f"partner event source {self.name} in {self.client.meta.region_name}"
