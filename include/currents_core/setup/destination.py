"""The settings of a destination: one class for each kind, which knows how it is named and what it takes."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from currents_core.limits import CUSTOM_BUS, EVENT_BUS, PARTNER_SOURCE, Limits, put_events_quota
from currents_core.setup.fields import ConnId, Model

BusName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_./:-]+\Z", max_length=1600, description="the name of the bus, or its ARN")
]
# Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
EventSource = Annotated[
    str, Field(pattern=r"^(?!aws\.).{1,256}\Z", description="up to 256 characters, not beginning with `aws.`")
]

# Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_CreateEventBus.html
_CUSTOM_BUS_NAME = re.compile(r"^[A-Za-z0-9][.\-_A-Za-z0-9]{0,255}\Z", re.ASCII)


class LimitSettings(Model):
    """Limits below EventBridge's own, for regions and emulators that still enforce older ones. Sizes are in bytes."""

    entries_per_request: Annotated[
        int | None,
        Field(
            ge=1,
            le=CUSTOM_BUS.entries_per_request,
            description="1 to 10, to 20 for a partner source, or to 100 for a custom bus",
        ),
    ] = None
    bytes_per_request: Annotated[
        int | None, Field(ge=1_000, le=EVENT_BUS.bytes_per_request, description="1,000 to 1,000,000")
    ] = None
    bytes_per_entry: Annotated[
        int | None, Field(ge=1_000, le=EVENT_BUS.bytes_per_entry, description="1,000 to 1,000,000")
    ] = None


class _Destination(Model):
    """What every destination has: a region, whose rights sending takes, and limits of its own."""

    kind: str
    region: Annotated[
        str, Field(pattern=r"^[a-z]{2,}(-[a-z]+)+-[0-9]\Z", description="an AWS region such as us-east-1")
    ]
    aws_conn_id: ConnId = "aws_default"
    limits: LimitSettings = LimitSettings()

    own_limits: ClassVar[Limits]

    @property
    def request_limits(self) -> Limits:
        """The limits of one request and of one entry: the settings, or else EventBridge's own."""
        told = {name: value for name, value in self.limits if value is not None}
        own = self.own_limits
        limits = replace(own, **{name: min(value, getattr(own, name)) for name, value in told.items()})
        # An entry must fit into a request.
        return replace(limits, bytes_per_entry=min(limits.bytes_per_entry, limits.bytes_per_request))

    @property
    def quota(self) -> int | None:
        """The requests per second that AWS lets an account send by default; None where it publishes no quota."""
        return None

    @abstractmethod
    def name_for(self, connector: str) -> str:
        """The name of the destination of a connector, as AWS knows it."""

    @abstractmethod
    def source_for(self, connector: str) -> str:
        """The `source` of the events of a connector, which rules match."""

    @model_validator(mode="after")
    def _requests_are_within_the_limits_of_the_kind(self) -> Self:
        told, most = self.limits.entries_per_request, self.own_limits.entries_per_request
        if told and told > most:
            raise ValueError(f"limits.entries_per_request is {told}, but {self.kind} takes {most}; lower it")
        return self


class _Bus(_Destination):
    """A bus, and the `source` that its consumers match in their rules."""

    name: BusName
    source: EventSource = "braze.currents"

    arn: ClassVar[re.Pattern[str]]
    arn_form: ClassVar[str]

    def name_for(self, _connector: str) -> str:
        """The name of the bus, or its ARN."""
        return self.name

    def source_for(self, _connector: str) -> str:
        """The `source` that the settings give."""
        return self.source

    @model_validator(mode="after")
    def _arn_is_of_the_kind_and_the_region(self) -> Self:
        if not self.name.startswith("arn:"):
            return self
        arn = self.arn.match(self.name)
        if not arn:
            others = (kind for kind in (EventBusDestination, CustomBusDestination) if kind.arn.match(self.name))
            if other := next(others, None):
                [kind] = get_args(other.model_fields["kind"].annotation)
                raise ValueError(f"name is the ARN of another kind of bus; set kind to {kind}")
            raise ValueError(f"name is not the ARN of such a bus; expected {self.arn_form}")
        if arn["region"] != self.region:
            raise ValueError(f"name is a bus in {arn['region']}, but region is {self.region}; make them match")
        return self


class EventBusDestination(_Bus):
    """A classic event bus."""

    kind: Literal["event_bus"]
    # Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
    endpoint_id: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9-]+\.[A-Za-z0-9-]+\Z",
            max_length=50,
            description="the id of a global endpoint, such as abcde.veo, or null to send to the region itself",
        ),
    ] = None

    own_limits = EVENT_BUS
    # arn:partition:events:region:account:event-bus/name
    # Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
    arn = re.compile(r"^arn:[\w-]+:events:(?P<region>[\w-]+):\d{12}:event-bus/[\w./-]+\Z", re.ASCII)
    arn_form = "arn:aws:events:<region>:<account>:event-bus/<name>"

    @property
    def quota(self) -> int | None:
        """The default PutEvents quota of the region."""
        return put_events_quota(self.region)

    @model_validator(mode="after")
    def _bus_can_have_a_global_endpoint(self) -> Self:
        # Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_EndpointEventBus.html
        if self.endpoint_id and "/" in self.name.rpartition(":event-bus/")[2]:
            raise ValueError("a global endpoint has no partner's bus; remove endpoint_id, or name another bus")
        return self


class CustomBusDestination(_Bus):
    """A bus of EventBridge's second generation."""

    kind: Literal["custom_bus"]
    event_groups: Annotated[
        int | None, Field(ge=1, le=10_000, description="a whole number from 1 to 10,000, or null for no groups")
    ] = None

    own_limits = CUSTOM_BUS
    # Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_PutEvents.html
    arn = re.compile(
        r"^arn:[\w-]+:events:(?P<region>[\w-]+):\d{12}:event-busv2/[a-zA-Z0-9][\w.-]{0,255}/[a-z0-9]{25}\Z", re.ASCII
    )
    arn_form = "arn:aws:events:<region>:<account>:event-busv2/<name>/<25 characters>"

    @model_validator(mode="after")
    def _name_is_one_that_aws_takes(self) -> Self:
        if not self.name.startswith("arn:") and not _CUSTOM_BUS_NAME.match(self.name):
            raise ValueError(
                "name is none of a custom bus: up to 256 letters, digits and .-_, beginning with a letter or digit; "
                f"or give its ARN, {self.arn_form}"
            )
        return self


class PartnerDestination(_Destination):
    """A partner event source, which is offered to an AWS account and becomes a bus there.

    ``aws_conn_id`` is of the account that AWS registered as a partner, ``customer_conn_id`` of the customer's.
    """

    kind: Literal["partner_source"]
    account: Annotated[
        str, Field(pattern=r"^[0-9]{12}\Z", description="the customer's AWS account, twelve digits in quotes")
    ]
    # Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreatePartnerEventSource.html
    partner_name: Annotated[
        str,
        Field(
            pattern=r"^[.\-_A-Za-z0-9]{1,100}\Z",
            description=(
                "the name that AWS registered you with as a partner, such as example.com; set it once for all "
                "connectors, as partner_name in the section [currents] of Airflow's configuration"
            ),
        ),
    ]
    customer_conn_id: Annotated[
        str | None,
        Field(min_length=1, description="an Airflow connection id of the customer's account, or null if there is none"),
    ] = None

    own_limits = PARTNER_SOURCE

    def name_for(self, connector: str) -> str:
        """The name of the source: `aws.partner/<partner>/<connector>/<account>`."""
        return f"aws.partner/{self.partner_name}/{connector}/{self.account}"

    def source_for(self, connector: str) -> str:
        """The name of the source, which AWS wants to be the `source` of its events."""
        return self.name_for(connector)


Destination = Annotated[
    EventBusDestination | PartnerDestination | CustomBusDestination,
    Field(discriminator="kind", description="where events go: kind, region and more"),
]
