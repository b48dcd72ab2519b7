"""Makes what a run works with, from a connector's settings and its Airflow connections."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from currents_airflow.aws_connections import require_connections
from currents_airflow.clients import objects_at, sending_client
from currents_airflow.connections import find_connection
from currents_airflow.connectors import state_roots
from currents_airflow.page.mount import deliveries_address
from currents_core.errors import CurrentsError, SetupError
from currents_core.setup.settings import Connector

if TYPE_CHECKING:
    from currents_aws.s3 import S3Objects
    from currents_core.books.compact import Compaction
    from currents_core.books.index import IndexObject
    from currents_core.books.layout import Layout
    from currents_core.books.ledger import Ledger
    from currents_core.books.manifests import Manifests
    from currents_core.books.overviews import Overviews
    from currents_core.books.retention import Retention
    from currents_core.finding.plan import Plans
    from currents_core.ports import Finding, ObjectStore, Target
    from currents_core.setup.run_request import RunRequest
    from currents_core.shaping.personal_data import PersonalData

# How long a request may take whose answer is only told.
_ASK_SECONDS = 2
# How long a look at a partner event source may take: a task that is told to stop has a last one.
_LOOK_SECONDS = 2


class RunParts:
    """The parts of one run of a connector: its source, its state, its books and its destination.

    Each part is made when it is first asked for. Clients come from the connector's Airflow connections, which set their
    credentials, endpoints, proxies and retries. Replays keep books of their own, named after their run. A dry run sends
    nothing, and what it writes is forgotten. ``verify`` sets how the destination's TLS certificate is checked, as in
    boto3; None leaves that to the connection.
    """

    def __init__(
        self, connector: Connector, request: RunRequest, run_id: str, verify: bool | str | None = None
    ) -> None:
        self.connector = connector
        self.request = request
        self._run_id = run_id
        self._verify = verify

    @cached_property
    def source(self) -> S3Objects:
        """Where Braze writes. The state of any connector may lie there, and is never read as events."""
        from currents_core.books.layout import Layout

        source = self._connected.source
        apart = [folder for root in state_roots(source.bucket) for folder in Layout(root).folders]
        return objects_at(source, apart)

    @cached_property
    def state(self) -> ObjectStore:
        """Where the exporter keeps its state."""
        from currents_aws.dry_run import Overlay
        from currents_core.books.layout import is_oversized

        # Whole events may come to more than memory has room for, and nothing reads them.
        return Overlay(self._kept, is_oversized) if self.request.is_dry else self._kept

    @cached_property
    def _kept(self) -> S3Objects:
        return objects_at(self._connected.state)

    @cached_property
    def target(self) -> Target:
        """Where the events go."""
        from currents_aws.dry_run import DryRunTarget

        return DryRunTarget(self.connector.destination.request_limits) if self.request.is_dry else self.bus

    @cached_property
    def bus(self) -> Target:
        """The connector's destination."""
        from currents_aws.choose_transport import transport_for
        from currents_aws.custom_bus import CustomBus
        from currents_aws.custom_buses import CustomBuses
        from currents_aws.event_bus import EventBus
        from currents_aws.partner_source import PartnerSource

        destination, name = self._connected.destination, self.connector.destination_name
        service = "eventbridgev2" if destination.kind == "custom_bus" else "events"
        client = sending_client(self.connector, service, self._verify)
        limits = destination.request_limits
        if destination.kind == "event_bus":
            endpoint_id = destination.endpoint_id
            return EventBus(client, transport_for(client, endpoint_id), name, limits, endpoint_id=endpoint_id)
        transport = transport_for(client)
        if destination.kind == "partner_source":
            quick = {"connect_timeout": _LOOK_SECONDS, "read_timeout": _LOOK_SECONDS}
            looking = sending_client(self.connector, service, self._verify, **quick)
            return PartnerSource(looking, transport, name, destination.account, limits)
        # What is sent again on purpose differs from what was sent before, and not from its own retries. A letter that a
        # redrive got through is none any more, so another redrive of it can only complete one that broke.
        redriven = "redrive" if self.request.is_redrive else ""
        salt = self._run_id if self.request.is_replay else redriven
        groups = destination.event_groups
        try:
            arn = name if name.startswith("arn:") else CustomBuses(transport).require(name)
        except CurrentsError:
            transport.close()
            raise
        return CustomBus(transport, arn, limits, sender=self.connector.name, salt=salt, groups=groups)

    def preflight(self, *, tries: bool) -> Iterator[Finding]:
        """Checks the destination before the run, and tells each finding at once; see ``preflight``."""
        from currents_aws.preflight import preflight

        yield from preflight(self.connector, self.bus, self._asking_client, tries=tries)

    def _asking_client(self, service: str) -> Any:
        """A client of a service that the run can do without, and so does not wait for."""
        quick = {"connect_timeout": _ASK_SECONDS, "read_timeout": _ASK_SECONDS}
        return sending_client(self._connected, service, self._verify, **quick)

    @cached_property
    def ledger(self) -> Ledger:
        """What became of each slice. A dry run claims in a state of its own, so that it waits for nobody."""
        from currents_core.books.ledger import LEASE_SECONDS, Ledger

        lease = -1.0 if self.request.is_dry else LEASE_SECONDS
        # A replay has state of its own, however old its hours are.
        first_date = "" if self.request.is_replay else self.connector.state.first_date(datetime.now(UTC))
        return Ledger(self.state, self._books, lease=lease, first_date=first_date)

    @cached_property
    def compaction(self) -> Compaction:
        """Compacts days that left the window."""
        from currents_core.books.compact import Compaction

        return Compaction(self.state, self._books)

    @cached_property
    def retention(self) -> Retention | None:
        """Ends days that are older than the connector's retention, if it has one."""
        from currents_core.books.retention import Retention

        days, first_date = self.connector.state.retention_days, self.connector.state.first_date(datetime.now(UTC))
        return Retention(self.state, self._books, first_date, days * 86_400.0) if days else None

    @cached_property
    def personal_data(self) -> PersonalData:
        """What to do with personal data; the key of the hashes is the password of an Airflow connection."""
        from currents_core.shaping.personal_data import PersonalData

        settings = self.connector.personal_data
        if not settings.hash_key_conn_id:
            return PersonalData(settings.rules)
        found = find_connection(settings.hash_key_conn_id)
        key = found.password if found else None
        if not key:
            raise SetupError(
                f"{self.connector.name}: the Airflow connection {settings.hash_key_conn_id} does not exist or has no "
                "password; create it with the key of the hashes as its password"
            )
        return PersonalData(settings.rules, key.encode())

    @cached_property
    def manifests(self) -> Manifests:
        """The accounts of the hours."""
        from currents_core.books.manifests import Manifests

        return Manifests(self.state, self._books)

    @cached_property
    def index(self) -> IndexObject:
        """What the connector's runs judged."""
        from currents_core.books.index import IndexObject

        return IndexObject(self.state, self._books)

    @cached_property
    def overviews(self) -> Overviews:
        """The hours of the connector in short, as people look at them. Replays have none of their own."""
        from currents_core.books.overviews import Overviews

        return Overviews(self._kept, self.hours)

    @cached_property
    def plans(self) -> Plans:
        """What the run has planned."""
        from currents_core.finding.plan import Plans

        # Also a dry run's are kept, since its tasks hand them on.
        return Plans(self._kept, self._books)

    def addresses(self, prefix: str | None = None, hour: str | None = None) -> dict[str, str]:
        """The delivery page and pages of the AWS console, by the names of the links to them."""
        from currents_aws.console import bus_address, folder_address, object_address

        source, destination = self.connector.source, self.connector.destination
        region = destination.region
        found = {
            "Source files": folder_address(region, source.bucket, prefix or source.prefix),
            "Deliveries": deliveries_address(self.connector.name, self.request.hours),
        }
        # The address of a custom bus in the console is not published.
        if destination.kind == "event_bus":
            found["Event bus"] = bus_address(region, destination.name)
        if hour:
            key = self.manifests.key(hour)
            found["Hour manifest"] = object_address(region, self.connector.state.bucket, key)
        return found

    @cached_property
    def _connected(self) -> Connector:
        """The connector, if its Airflow connections exist.

        A hook would name the first one that is missing; this names all of them, and where each is named.
        """
        require_connections(self.connector)
        return self.connector

    @property
    def hours(self) -> Layout:
        """The keys of the connector's own state. What all its runs share is there, also that of replays."""
        from currents_core.books.layout import Layout

        return Layout(self.connector.state_root)

    @property
    def _books(self) -> Layout:
        return self.hours.of_run(self._run_id) if self.request.is_replay else self.hours
