"""A classic event bus as whoever sets it up sees it: looked up, and created where it is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from currents_aws.asked import asked
from currents_core.errors import SetupError, TransientError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_ACCOUNT = 4
_MISSING, _EXISTS = "ResourceNotFoundException", "ResourceAlreadyExistsException"


def account_of(client: Any) -> str:
    """The account whose credentials a client of the service `sts` has. That takes no permission.

    Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    found = asked(client.get_caller_identity, f"identity in {client.meta.region_name}", "lookup failed")
    return str(found["Account"])


@dataclass(frozen=True)
class OwnBus:
    """The event bus called ``name``, which may be its ARN, by a client of the service `events`.

    ``account`` tells the account of the client. It is asked only where the ARN might be one of another.
    """

    client: EventBridgeClient
    name: str
    account: Callable[[], str]

    @cached_property
    def plain_name(self) -> str:
        """The name without the rest of its ARN. Raises SetupError if the ARN is one of another account."""
        if not self.name.startswith("arn:"):
            return self.name
        owner = self.name.split(":")[_ACCOUNT]
        if owner != (own := self.account()):
            raise SetupError(
                f"it belongs to account {owner}, and the Airflow connection to {own}; have it set up there, "
                "or give this step a connection to that account",
                uri=self.uri,
            )
        return self.name.partition(":event-bus/")[2]

    @property
    def uri(self) -> str:
        """What names it in messages."""
        return f"event bus {self.name} in {self.client.meta.region_name}"

    def find(self) -> str | None:
        """The ARN of the bus, or None if there is none, which only who owns it can be sure of.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeEventBus.html
        """
        found = asked(self.client.describe_event_bus, self.uri, "lookup failed", _MISSING, Name=self.name)
        return str(found["Arn"]) if found else None

    def create(self) -> bool:
        """Creates the bus. Returns whether it was missing until now.

        Raises SetupError if it is to be in another account.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateEventBus.html
        """
        return bool(asked(self.client.create_event_bus, self.uri, "creation failed", _EXISTS, Name=self.plain_name))

    def arn(self) -> str:
        """The ARN of the bus. Raises SetupError if there is none, or it is in another account."""
        name, arn = self.plain_name, self.find()
        if arn is None:
            raise SetupError(
                f"there is no bus {name} in the connection's account; run this DAG with `Create the bus` on, or "
                "correct destination.name",
                uri=self.uri,
            )
        return arn

    def keep_archive(self, name: str, days: int) -> str:
        """Has an archive keep the events of the bus for so many days. Returns what was done about it, in words.

        One that keeps them longer stays as it is: what is shortened is lost for good. Raises SetupError if the archive
        is one of another bus.

        Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateArchive.html
        """
        bus, uri = self.arn(), f"archive {name} in {self.client.meta.region_name}"
        found = asked(self.client.describe_archive, uri, "lookup failed", _MISSING, ArchiveName=name)
        if found is None:
            told = {"ArchiveName": name, "EventSourceArn": bus, "RetentionDays": days}
            if asked(self.client.create_archive, uri, "creation failed", _EXISTS, **told):
                return "created"
            raise TransientError("somebody created it at the same time; clear the task to look again", uri=uri)
        if found["EventSourceArn"] != bus:
            raise SetupError(f"it archives {found['EventSourceArn']}; delete it, or name the bus otherwise", uri=uri)
        # Without a number, or with 0, it keeps them for ever.
        kept = found.get("RetentionDays") or None
        if kept == days:
            return "unchanged"
        if kept is None or kept > days:
            longer = f"{kept} days" if kept else "ever"
            return f"left as it is, because it keeps them for {longer}; to shorten that, change it in AWS"
        asked(self.client.update_archive, uri, "update failed", ArchiveName=name, RetentionDays=days)
        return "updated"
