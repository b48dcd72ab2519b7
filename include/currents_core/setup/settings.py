"""The settings of a connector: where it reads, where it sends, where it keeps its state, and how fast it may go."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from currents_core.catalog import catalog, documented_fields
from currents_core.limits import CUSTOM_BUS, EVENT_BUS, Limits, put_events_quota
from currents_core.setup.patterns import matches_any, require_pattern

# arn:partition:events:region:account:event-bus/name
# Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
# Source of the second: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_PutEvents.html
_BUS_ARNS = {
    "event_bus": re.compile(r"^arn:[\w-]+:events:(?P<region>[\w-]+):\d{12}:event-bus/[\w./-]+\Z", re.ASCII),
    "custom_bus": re.compile(
        r"^arn:[\w-]+:events:(?P<region>[\w-]+):\d{12}:event-busv2/[a-zA-Z0-9][\w.-]{0,255}/[a-z0-9]{25}\Z",
        re.ASCII,
    ),
}
_ARN_FORMS = {
    "event_bus": "arn:aws:events:<region>:<account>:event-bus/<name>",
    "custom_bus": "arn:aws:events:<region>:<account>:event-busv2/<name>/<25 characters>",
}
_LIMITS = {"event_bus": EVENT_BUS, "custom_bus": CUSTOM_BUS}

# How alike two names are, from 0 to 1, where one is taken for a misspelling of the other.
_NEAR_MISS = 0.85


def _folder(prefix: str) -> str:
    """The prefix without leading slashes and with one at its end; empty for the bucket's root."""
    if not prefix.isprintable():
        raise ValueError("the prefix contains a control character; remove it")
    return f"{prefix.strip('/')}/" if prefix.strip("/") else ""


def _plain_value(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise ValueError("must be text, a number, true or false; for missing values there is `is_null`")
    return value


# S3 keys end at 1,024 bytes, and what follows a prefix takes some of them.
Prefix = Annotated[
    str, Field(max_length=500, description="a folder in the bucket, up to 500 characters"), AfterValidator(_folder)
]
Pattern = Annotated[
    str,
    AfterValidator(require_pattern),
    Field(description="a shell pattern on the event type, such as users.messages.*; quotes keep `*` text"),
]
Patterns = tuple[Pattern, ...]
Name = Annotated[str, Field(min_length=1, max_length=500, description="the name of a field, as in the event")]
PlainValue = Annotated[Any, AfterValidator(_plain_value)]
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
Bucket = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z", description="the name of an S3 bucket")]
ConnId = Annotated[
    str | None,
    # An empty id would silently stand for the machine's own credentials.
    Field(min_length=1, description="an Airflow connection id, or null for the machine's own credentials"),
]
Rate = Annotated[float | None, Field(gt=0, description="a number above 0, or null for no limit of its own")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, regex_engine="python-re", allow_inf_nan=False)


class Location(_Model):
    """A folder in S3: where Braze writes, or where the state is kept."""

    bucket: Bucket
    prefix: Prefix = ""
    aws_conn_id: ConnId = "aws_default"


class State(Location):
    """Where the state is kept, and for how long: null for ever."""

    retention_days: Annotated[
        int | None, Field(ge=3, le=36_500, description="whole days, 3 to 36,500, or null to keep the state for ever")
    ] = None

    def first_date(self, now: datetime) -> str:
        """The first UTC date of which the state is kept, as YYYY-MM-DD; empty if it is kept for ever."""
        if self.retention_days is None:
            return ""
        return f"{now.astimezone(UTC) - timedelta(days=self.retention_days):%Y-%m-%d}"


class LimitSettings(_Model):
    """Limits below EventBridge's own, for regions and emulators that still enforce older ones. Sizes are in bytes."""

    entries_per_request: Annotated[
        int | None,
        Field(ge=1, le=CUSTOM_BUS.entries_per_request, description="1 to 10, or to 100 for a custom bus"),
    ] = None
    bytes_per_request: Annotated[
        int | None, Field(ge=1_000, le=EVENT_BUS.bytes_per_request, description="1,000 to 1,000,000")
    ] = None
    bytes_per_entry: Annotated[
        int | None, Field(ge=1_000, le=EVENT_BUS.bytes_per_entry, description="1,000 to 1,000,000")
    ] = None


class Destination(_Model):
    """Where events are sent, and the `source` that consumers match in their rules."""

    kind: Annotated[Literal["event_bus", "custom_bus"], Field(description="event_bus or custom_bus")]
    name: Annotated[str, Field(pattern=r"^[\w./:-]+\Z", max_length=1600, description="the name of the bus, or its ARN")]
    region: Annotated[str, Field(pattern=r"^[a-z]{2,}(-[a-z]+)+-\d\Z", description="an AWS region such as us-east-1")]
    aws_conn_id: ConnId = "aws_default"
    # Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
    source: Annotated[
        str, Field(pattern=r"^(?!aws\.).{1,256}\Z", description="up to 256 characters, not beginning with `aws.`")
    ] = "braze.currents"
    limits: LimitSettings = LimitSettings()

    @property
    def request_limits(self) -> Limits:
        """The limits of one request and of one entry: the settings, or else EventBridge's own."""
        told = {name: value for name, value in self.limits if value is not None}
        own = _LIMITS[self.kind]
        limits = replace(own, **{name: min(value, getattr(own, name)) for name, value in told.items()})
        # An entry must fit into a request.
        return replace(limits, bytes_per_entry=min(limits.bytes_per_entry, limits.bytes_per_request))

    @model_validator(mode="after")
    def _name_is_of_the_kind(self) -> Destination:
        for kind, pattern in _BUS_ARNS.items():
            if kind != self.kind and pattern.match(self.name):
                raise ValueError(f"name is the ARN of another kind of bus; set kind to {kind}")
        if self.kind == "custom_bus" and not self.name.startswith("arn:"):
            raise ValueError(f"a custom bus is named by its ARN; expected {_ARN_FORMS[self.kind]}")
        return self

    @model_validator(mode="after")
    def _requests_are_within_the_limits_of_the_kind(self) -> Destination:
        told, most = self.limits.entries_per_request, _LIMITS[self.kind].entries_per_request
        if told and told > most:
            raise ValueError(f"limits.entries_per_request is {told}, but {self.kind} takes {most}; lower it")
        return self

    @model_validator(mode="after")
    def _arn_is_of_the_region(self) -> Destination:
        arn = _BUS_ARNS[self.kind].match(self.name)
        if self.name.startswith("arn:") and not arn:
            raise ValueError(f"name is not the ARN of such a bus; expected {_ARN_FORMS[self.kind]}")
        if arn and arn["region"] != self.region:
            raise ValueError(f"name is a bus in {arn['region']}, but region is {self.region}; make them match")
        return self


class EventTypes(_Model):
    """Which event types to export, as shell patterns. If a type matches both, ``exclude`` wins."""

    include: Annotated[Patterns, Field(description="a list of shell patterns on the event type")] = ("*",)
    exclude: Annotated[Patterns, Field(description="a list of shell patterns on the event type")] = ()

    def wants(self, event_type: str) -> bool:
        """Whether the patterns select this event type."""
        return matches_any(event_type, self.include) and not matches_any(event_type, self.exclude)


class Budget(_Model):
    """How fast all tasks of the connector together may send. Whichever limit is reached first applies."""

    share_of_quota: Annotated[
        float, Field(gt=0, le=1, description="the share of the region's PutEvents quota, above 0 and up to 1")
    ] = 0.5
    requests_per_second: Rate = None
    entries_per_second: Rate = None
    slots: Annotated[
        int, Field(ge=1, le=100, description="the slots of the Airflow pool `currents`, a whole number from 1 to 100")
    ] = 4
    backfill_slots: Annotated[
        int, Field(ge=1, le=100, description="the slots of the pool `currents_backfill`, a whole number from 1 to 100")
    ] = 2
    price_per_million_events: Annotated[
        float, Field(ge=0, description="dollars, for estimates; see https://aws.amazon.com/eventbridge/pricing")
    ] = 1.0

    @property
    def all_slots(self) -> int:
        """The slots of both pools. Each is worth an equal part of the budget."""
        return self.slots + self.backfill_slots


class Schedule(_Model):
    """When hours run automatically."""

    delay_minutes: Annotated[
        int, Field(ge=1, le=59, description="how many minutes after its end an hour runs, 1 to 59")
    ] = 20
    catchup: Annotated[
        bool, Field(description="true or false: whether hours since `start` that had no run get one")
    ] = False
    start: Annotated[date, Field(description="the first day, as YYYY-MM-DD")] = date(2026, 1, 1)


class Notice(_Model):
    """A message that one of Airflow's notifiers sends: its class, and the arguments of that class."""

    notifier: Annotated[
        str,
        Field(
            pattern=r"^\w+(\.\w+)+\Z",
            description="a notifier class such as airflow.providers.amazon.aws.notifications.sns.SnsNotifier",
        ),
    ]
    arguments: dict[str, Any] = {}


class Notify(_Model):
    """Who is notified when something goes wrong."""

    on_failure: tuple[Notice, ...] = ()
    on_missed_deadline: tuple[Notice, ...] = ()
    deadline_minutes: Annotated[
        int, Field(ge=1, description="minutes after its end by which an hour must be delivered, 1 or more")
    ] = 60


class PersonalDataRule(_Model):
    """What to do with some fields of some event types. The first rule that applies to a field decides."""

    action: Annotated[Literal["drop", "redact", "hash"], Field(description="drop, redact or hash")]
    fields: tuple[str, ...] = ()
    catalog: bool = False
    pointers: tuple[
        Annotated[str, Field(pattern=r"^(/([^~/]|~[01])*)+$", description="a JSON pointer such as /address/street")],
        ...,
    ] = ()
    event_types: EventTypes = EventTypes()

    @model_validator(mode="after")
    def _names_something(self) -> PersonalDataRule:
        if not (self.fields or self.catalog or self.pointers):
            raise ValueError("the rule applies to nothing; give it fields, pointers or catalog: true")
        kept = {"id", "time", "event_type"}.intersection(self.fields)
        if kept:
            raise ValueError(f"fields can't include {' and '.join(sorted(kept))}, which every event needs")
        return self

    @model_validator(mode="after")
    def _names_are_not_misspelled(self) -> PersonalDataRule:
        if misspelled := [f"{name!r} (did you mean {near!r}?)" for name in self.fields if (near := self._meant(name))]:
            raise ValueError(f"Braze documents no field {', '.join(misspelled)}; correct the spelling")
        return self

    def _meant(self, name: str) -> str | None:
        """The documented field that a name is probably a misspelling of. Customers have fields of their own besides."""
        if name in documented_fields():
            return None
        wanted = {each for each in catalog() if self.event_types.wants(each)}
        near = get_close_matches(name, documented_fields(frozenset(wanted) or None), n=1, cutoff=_NEAR_MISS)
        return near[0] if near else None


class PersonalDataSettings(_Model):
    """What to do with personal data before anything is sent or parked."""

    rules: tuple[PersonalDataRule, ...] = ()
    hash_key_conn_id: Annotated[
        str | None, Field(description="an Airflow connection whose password is the key of the hashes")
    ] = None

    @model_validator(mode="after")
    def _hashes_have_a_key(self) -> PersonalDataSettings:
        if any(rule.action == "hash" for rule in self.rules) and not self.hash_key_conn_id:
            raise ValueError(
                "hash needs a key; set hash_key_conn_id to an Airflow connection whose password is the key"
            )
        return self


class Condition(_Model):
    """What a field must be for its row to be sent. A field that is null or missing meets only `is_null: true`."""

    field: Name
    in_: Annotated[
        tuple[PlainValue, ...] | None, Field(alias="in", min_length=1, description="a list of the values to send")
    ] = None
    not_in: Annotated[
        tuple[PlainValue, ...] | None, Field(min_length=1, description="a list of the values not to send")
    ] = None
    at_least: Annotated[float | None, Field(description="a number")] = None
    at_most: Annotated[float | None, Field(description="a number")] = None
    is_null: Annotated[bool | None, Field(description="true or false: whether the field is null or missing")] = None
    undocumented: Annotated[
        bool, Field(description="true for a column of your own files that Braze does not document")
    ] = False

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        on_values = [each for each in (self.in_, self.not_in, self.at_least, self.at_most) if each is not None]
        if not on_values and self.is_null is None:
            raise ValueError("the condition checks nothing; give it in, not_in, at_least, at_most or is_null")
        if on_values and self.is_null:
            raise ValueError("no row is null and has a value; remove is_null, or make it a connector of its own")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("at_least is above at_most, so no row meets both; swap them")
        return self


class Connector(_Model):
    """One configured stream, from a folder of Currents files to a destination."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,100}\Z", description="lower-case letters, digits and _")]
    source: Annotated[Location, Field(description="where Braze writes: bucket, prefix and aws_conn_id")]
    destination: Annotated[Destination, Field(description="where events go: kind, name, region and more")]
    state: Annotated[
        State, Field(description="where the exporter keeps its state: bucket, prefix, aws_conn_id and retention_days")
    ]
    event_types: Annotated[EventTypes, Field(description="which event types to export: include and exclude")] = (
        EventTypes()
    )
    filter: Annotated[tuple[Condition, ...], Field(description="a list of conditions that a row must meet")] = ()
    personal_data: Annotated[
        PersonalDataSettings, Field(description="what to drop, redact or hash: rules and hash_key_conn_id")
    ] = PersonalDataSettings()
    broken_properties: Annotated[
        Literal["keep", "dead_letter"], Field(description="keep (as a string) or dead_letter")
    ] = "keep"
    schedule: Schedule = Schedule()
    lookback_hours: Annotated[int, Field(ge=0, le=744, description="whole hours, 0 to 744")] = 72
    budget: Budget = Budget()
    notify: Notify = Notify()
    mark_backfills: Annotated[
        bool, Field(description="true or false: whether the events of backfills and replays say so in their detail")
    ] = True

    @property
    def stream(self) -> str:
        """From where to where the events go. Books are of one stream."""
        source, destination = self.source, self.destination
        place = f"{destination.kind} {destination.name} in {destination.region}"
        return f"s3://{source.bucket}/{source.prefix} → {place}"

    @cached_property
    def fingerprint(self) -> str:
        """The same text for settings that make the same of a file: 24 hexadecimal digits."""
        deciding = self.model_dump_json(include={"event_types", "filter", "personal_data", "broken_properties"})
        return hashlib.sha256(deciding.encode()).hexdigest()[:24]

    @property
    def rates(self) -> tuple[float | None, float | None]:
        """The whole budget: requests and entries per second. None is no limit, and one of the two always is one.

        Without a setting, the requests are a share of the quota of the region, which only classic buses have.
        """
        requests, entries = self.budget.requests_per_second, self.budget.entries_per_second
        if requests is None and self.destination.kind == "event_bus":
            requests = self.budget.share_of_quota * put_events_quota(self.destination.region)
        return requests, entries

    @model_validator(mode="after")
    def _custom_bus_has_a_budget(self) -> Connector:
        if self.destination.kind == "custom_bus" and self.budget.entries_per_second is None:
            raise ValueError(
                "budget.entries_per_second is missing: AWS publishes no quota of custom buses that a share could be "
                "taken of; set it to the events per second that this connector may send"
            )
        return self

    @model_validator(mode="after")
    def _state_outlasts_the_window(self) -> Connector:
        # An hour runs after its end, so the oldest of its window may be a day older than the window is long.
        least = -(-self.lookback_hours // 24) + 2
        if self.state.retention_days is not None and self.state.retention_days < least:
            raise ValueError(
                f"state.retention_days is {self.state.retention_days}, but runs look back {self.lookback_hours} hours "
                f"for late files; set it to {least} or more, or lower lookback_hours"
            )
        return self

    @model_validator(mode="after")
    def _state_is_no_source(self) -> Connector:
        if self.state.bucket == self.source.bucket and self.state.prefix.startswith(self.source.prefix):
            raise ValueError("state is inside source, so its files would be read as events; give it another prefix")
        return self


def pool_slots(connectors: Collection[Connector]) -> tuple[int, int]:
    """The slots of the pools that connectors share, that of live hours and that of backfills.

    Each has the fewest that any connector says, so that none of them exceeds its budget.
    """
    budgets = [connector.budget for connector in connectors]
    return min(each.slots for each in budgets), min(each.backfill_slots for each in budgets)
