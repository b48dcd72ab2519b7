"""The steps of a partner event source: offered, associated with a bus by its customer, and waited for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from currents_airflow import notices
from currents_airflow.links import PartnerSourcesLink
from currents_airflow.operators.connect import CurrentsAwaitOperator, CurrentsConnectOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.connect_parts import ConnectParts
    from currents_core.connecting.source_life import Offer

# The key under which a task keeps when it warned last.
_WARNED = "warned"


class CurrentsOfferSourceOperator(CurrentsConnectOperator):
    """Offers a partner event source to the customer's account, again where it expired or was deleted."""

    operator_extra_links = (PartnerSourcesLink(),)

    def set_up(self, _context: Context, parts: ConnectParts, /) -> dict[str, Any]:
        """Returns the name of the source, its state and when it expires."""
        self.addresses = _links(parts)
        found, was_made = parts.offer.make()
        account = parts.offer.account
        done = "offered to" if was_made else "was offered before to"
        self.log.info("%s account %s: %s", done, account, found.told(_now()))
        return {"name": found.name, "state": found.state, "expires": found.ends and found.ends.isoformat()}


class CurrentsAssociateSourceOperator(CurrentsConnectOperator):
    """Associates the source with a bus in the customer's account, or says how the customer does it."""

    operator_extra_links = (PartnerSourcesLink(),)

    def set_up(self, _context: Context, parts: ConnectParts, /) -> None:
        """Does so where the connector has a connection to the customer's account."""
        self.addresses = _links(parts)
        if parts.customer_conn_id:
            done = _associate(parts)
            self.log.info("%s: %s in account %s", parts.connector.destination_name, done, parts.account)
            return
        found, _ = parts.offer.make()
        self.log.info("%s", _steps(parts) if found.state == "PENDING" else found.told(_now()))


class CurrentsAwaitSourceOperator(CurrentsAwaitOperator):
    """Waits until the source is ACTIVE. Offers it again where it ends meanwhile, and warns each day."""

    operator_extra_links = (PartnerSourcesLink(),)

    def is_there(self, context: Context, parts: ConnectParts, /) -> bool:
        """Whether the source is ACTIVE."""
        self.addresses = _links(parts)
        found, was_made = parts.offer.make()
        if was_made:
            self.log.warning("%s had expired or was deleted; it is offered again", found.name)
        if found.state == "PENDING" and parts.customer_conn_id:
            _associate(parts)
            found, _ = parts.offer.make()
        now = _now()
        if found.state == "ACTIVE":
            self.log.info("%s", found.told(now))
            return True
        self._tell(context, parts, found, now)
        return False

    def _tell(self, context: Context, parts: ConnectParts, found: Offer, now: datetime) -> None:
        """Says that it is pending, and once a day as a warning."""
        store = context["task_state_store"]
        warned = store.get(_WARNED)
        last = datetime.fromisoformat(warned) if isinstance(warned, str) else None
        line = found.told(now)
        if not found.warns(last, now):
            self.log.info("%s%s", line, "" if parts.customer_conn_id else "; `associate` logs the customer's steps")
            return
        self.log.warning("%s", line)
        self.log.info("%s", _steps(parts))
        notices.tell_pending(parts.connector, context, line)
        store.set(_WARNED, now.isoformat())


def _now() -> datetime:
    return datetime.now(UTC)


def _associate(parts: ConnectParts) -> str:
    from currents_aws.customer_bus import CustomerBus

    # Asked for first: with the credentials of another account, the source would only not be found.
    _ = parts.account
    return CustomerBus(parts.consumer("events"), parts.connector.destination_name).associate()


def _links(parts: ConnectParts) -> dict[str, str]:
    from currents_aws.console import sources_address

    return {PartnerSourcesLink.name: sources_address(parts.connector.destination.region)}


def _steps(parts: ConnectParts) -> str:
    """What the customer has to do."""
    from currents_core.connecting.shown import customer_steps

    page = _links(parts)[PartnerSourcesLink.name]
    return customer_steps(parts.offer.name, parts.offer.account, parts.connector.destination.region, page)
