"""Makes what the steps of setting up a destination work with, from a connector's settings and its connections."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from currents_airflow.aws_connections import require_destination
from currents_airflow.clients import aws_client, sending_client
from currents_core.errors import SetupError
from currents_core.setup.settings import Connector

if TYPE_CHECKING:
    from currents_aws.custom_buses import CustomBuses
    from currents_aws.own_bus import OwnBus
    from currents_aws.partner_offer import PartnerOffer
    from currents_aws.transport import Transport


class ConnectParts:
    """What sets up the destination of a connector. Each part is made when it is first asked for.

    A partner event source has two sides: the partner's account, which offers it, and the customer's, where its bus is.
    ``verify`` sets how TLS certificates are checked, as in boto3; None leaves that to the connection.
    """

    def __init__(self, connector: Connector, verify: bool | str | None = None) -> None:
        require_destination(connector)
        self.connector = connector
        self._verify = verify

    @property
    def customer_conn_id(self) -> str | None:
        """The connection to the customer's account, if the destination is a partner event source and has one."""
        destination = self.connector.destination
        return destination.customer_conn_id if destination.kind == "partner_source" else None

    @cached_property
    def offer(self) -> PartnerOffer:
        """The partner event source, as the partner sees it."""
        from currents_aws.partner_offer import PartnerOffer

        destination = self.connector.destination
        assert destination.kind == "partner_source"
        client = self._client("events", destination.aws_conn_id)
        return PartnerOffer(client, self.connector.destination_name, destination.account)

    @cached_property
    def bus(self) -> OwnBus:
        """The classic bus that events arrive on, in the account that it is in."""
        from currents_aws.own_bus import OwnBus

        return OwnBus(self.consumer("events"), self.connector.destination_name, lambda: self.account)

    @cached_property
    def custom_buses(self) -> CustomBuses:
        """The custom buses of the region."""
        from currents_aws.custom_buses import CustomBuses

        return CustomBuses(self._transport)

    @cached_property
    def account(self) -> str:
        """The account that events arrive in. Raises SetupError if ``customer_conn_id`` is of another account."""
        from currents_aws.own_bus import account_of

        found, destination = account_of(self.consumer("sts")), self.connector.destination
        if destination.kind == "partner_source" and found != destination.account:
            raise SetupError(
                f"{self.connector.name}: destination.customer_conn_id is of account {found}, but the source is for "
                f"{destination.account}; correct destination.account or the Airflow connection"
            )
        return found

    def consumer(self, service: str) -> Any:
        """A boto3 client of a service, in the account that events arrive in."""
        return self._client(service, self.customer_conn_id or self.connector.destination.aws_conn_id)

    def with_arn(self, connector: Connector) -> Connector:
        """The connector with the ARN of its custom bus, where it names it otherwise; else as it is."""
        destination = connector.destination
        if destination.kind != "custom_bus" or destination.name.startswith("arn:"):
            return connector
        named = destination.model_copy(update={"name": self.custom_buses.require(destination.name)})
        return connector.model_copy(update={"destination": named})

    def close(self) -> None:
        """Closes the connections of what has been made."""
        if "_transport" in vars(self):
            self._transport.close()

    @cached_property
    def _transport(self) -> Transport:
        from currents_aws.choose_transport import transport_for

        return transport_for(sending_client(self.connector, "eventbridgev2", self._verify))

    def _client(self, service: str, conn_id: str | None) -> Any:
        return aws_client(service, conn_id, self.connector.destination.region, self._verify)
