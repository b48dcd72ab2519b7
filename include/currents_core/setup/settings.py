"""The settings of a connector: where it reads, where it sends, where it keeps its state, and how fast it may go."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from math import ceil
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from currents_core.catalog import catalog, documented_fields
from currents_core.limits import GROUP_QUOTA
from currents_core.setup.destination import CustomBusDestination, Destination
from currents_core.setup.fields import Bucket, ConnId, Model, Name, Patterns, PlainValue, Prefix, Rate
from currents_core.setup.patterns import matches_any

# How alike two names are, from 0 to 1, where one is taken for a misspelling of the other.
_NEAR_MISS = 0.85
# The events of 1 KB that an event group takes in a second: each counts as an event and as a kilobyte.
_EVENTS_OF_A_GROUP = GROUP_QUOTA // 2


class Location(Model):
    """A folder in S3: where Braze writes, or where the state is kept."""

    bucket: Bucket
    prefix: Prefix = ""
    aws_conn_id: ConnId = "aws_default"


class State(Location):
    """Where the state is kept, and for how long: null for ever."""

    retention_days: Annotated[
        int | None, Field(ge=3, le=36_500, description="whole days, 3 to 36,500, or null to keep the state for ever")
    ] = None

    def root(self, connector: str) -> str:
        """What the keys of the state of a connector of this name begin with."""
        return f"{self.prefix}{connector}/"

    def first_date(self, now: datetime) -> str:
        """The first UTC date of which the state is kept, as YYYY-MM-DD; empty if it is kept for ever."""
        if self.retention_days is None:
            return ""
        return f"{now.astimezone(UTC) - timedelta(days=self.retention_days):%Y-%m-%d}"


class EventTypes(Model):
    """Which event types to export, as shell patterns. If a type matches both, ``exclude`` wins."""

    include: Annotated[Patterns, Field(description="a list of shell patterns on the event type")] = ("*",)
    exclude: Annotated[Patterns, Field(description="a list of shell patterns on the event type")] = ()

    def wants(self, event_type: str) -> bool:
        """Whether the patterns select this event type."""
        return matches_any(event_type, self.include) and not matches_any(event_type, self.exclude)

    def wants_files(self, event_type: str | None) -> bool:
        """Whether files of an event type are read; None stands for files of which no folder names one."""
        return event_type is None or self.wants(event_type)


class Budget(Model):
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
    price_per_million_custom_events: Annotated[
        float, Field(ge=0, description="dollars, for estimates of what a custom bus costs")
    ] = 0.2

    @property
    def all_slots(self) -> int:
        """The slots of both pools. Each is worth an equal part of the budget."""
        return self.slots + self.backfill_slots


class Schedule(Model):
    """When hours run automatically."""

    delay_minutes: Annotated[
        int, Field(ge=1, le=59, description="how many minutes after its end an hour runs, 1 to 59")
    ] = 20
    catchup: Annotated[
        bool, Field(description="true or false: whether hours since `start` that had no run get one")
    ] = False
    start: Annotated[date, Field(description="the first day, as YYYY-MM-DD")] = date(2026, 1, 1)


class Notice(Model):
    """A message that one of Airflow's notifiers sends: its class, and the arguments of that class."""

    notifier: Annotated[
        str,
        Field(
            pattern=r"^\w+(\.\w+)+\Z",
            description="a notifier class such as airflow.providers.amazon.aws.notifications.sns.SnsNotifier",
        ),
    ]
    arguments: dict[str, Any] = Field(default_factory=dict)


class Notify(Model):
    """Who is notified when something goes wrong."""

    on_failure: tuple[Notice, ...] = ()
    on_missed_deadline: tuple[Notice, ...] = ()
    on_pending: tuple[Notice, ...] = ()
    on_alert: tuple[Notice, ...] = ()
    on_approval: tuple[Notice, ...] = ()
    dead_letter_rate: Annotated[
        float | None, Field(ge=0, lt=1, description="the part of an hour's rows above which dead letters are reported")
    ] = None
    drift: Annotated[
        bool, Field(description="true or false: whether to tell when rows differ in more ways from what is documented")
    ] = False
    silent_hours: Annotated[
        int | None, Field(ge=1, le=72, description="hours without rows after which to tell, 1 to 72")
    ] = None
    incomplete_hours: Annotated[
        int | None, Field(ge=1, le=72, description="hours after which to tell of one that is not complete, 1 to 72")
    ] = None
    deadline_minutes: Annotated[
        int, Field(ge=1, description="minutes after its end by which an hour must be delivered, 1 or more")
    ] = 60

    @property
    def alerts(self) -> bool:
        """Whether there is anything to tell of, and anybody to be told."""
        thresholds = (self.dead_letter_rate, self.silent_hours, self.incomplete_hours)
        return bool(self.on_alert) and (self.drift or any(each is not None for each in thresholds))

    @model_validator(mode="after")
    def _tells_somebody(self) -> Notify:
        chosen = {"dead_letter_rate", "drift", "silent_hours", "incomplete_hours"} & self.model_fields_set
        if chosen and not self.on_alert:
            raise ValueError(f"{' and '.join(sorted(chosen))} tell nobody; add on_alert with a notifier")
        if self.on_alert and not self.alerts:
            raise ValueError(
                "on_alert is never told of anything; add dead_letter_rate, drift, silent_hours or incomplete_hours"
            )
        return self


class Approval(Model):
    """From which size on a replay, a stretch of hours or a redrive waits for a person. Without a limit, none does."""

    events: Annotated[int | None, Field(ge=0, description="how many events need nobody's approval")] = None
    dollars: Annotated[float | None, Field(ge=0, description="how many dollars need nobody's approval")] = None

    @property
    def is_on(self) -> bool:
        """Whether anything may have to wait."""
        return self.events is not None or self.dollars is not None


class AutomaticRedrive(Model):
    """Which dead letters are sent again without anybody's doing."""

    tries: Annotated[int, Field(ge=1, le=20, description="how often a letter is sent again, 1 to 20")] = 3
    hours: Annotated[int, Field(ge=1, le=168, description="of so many hours back, 1 to 168")] = 24
    # Of an entry that EventBridge failed for what it does not document, even after several tries.
    codes: Annotated[Patterns, Field(description="a list of shell patterns on the codes of dead letters")] = (
        "Internal*",
        "*Limit*",
        "*Throttl*",
        "*Timeout*",
        "*Unavailable*",
    )


class PersonalDataRule(Model):
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


class PersonalDataSettings(Model):
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


class Condition(Model):
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


class Connector(Model):
    """One configured stream, from a folder of Currents files to a destination."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,100}\Z", description="lower-case letters, digits and _")]
    source: Annotated[Location, Field(description="where Braze writes: bucket, prefix and aws_conn_id")]
    destination: Destination
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
    oversized: Annotated[
        Literal["dead_letter", "claim_check"],
        Field(description="dead_letter, or claim_check (leave the event in S3, and send where it is)"),
    ] = "dead_letter"
    schedule: Schedule = Schedule()
    lookback_hours: Annotated[int, Field(ge=0, le=744, description="whole hours, 0 to 744")] = 72
    budget: Budget = Budget()
    notify: Notify = Notify()
    approval: Approval = Approval()
    automatic_redrive: Annotated[
        AutomaticRedrive | None,
        Field(description="dead letters to send again by themselves: tries, hours, codes"),
    ] = None
    mark_backfills: Annotated[
        bool, Field(description="true or false: whether the events of backfills and replays say so in their detail")
    ] = True

    @property
    def destination_name(self) -> str:
        """The name of the destination, as AWS knows it."""
        return self.destination.name_for(self.name)

    @property
    def event_source(self) -> str:
        """The `source` of the events, which rules match."""
        return self.destination.source_for(self.name)

    @property
    def stream(self) -> str:
        """From where to where the events go. Books are of one stream."""
        source, destination = self.source, self.destination
        place = f"{destination.kind} {self.destination_name} in {destination.region}"
        return f"s3://{source.bucket}/{source.prefix} → {place}"

    @property
    def state_root(self) -> str:
        """What the keys of the connector's state begin with, in the bucket of its state."""
        return self.state.root(self.name)

    @cached_property
    def fingerprint(self) -> str:
        """The same text for settings that make the same of a file: 24 hexadecimal digits."""
        deciding = self.model_dump_json(
            include={"event_types", "filter", "personal_data", "broken_properties", "oversized"}
        )
        return hashlib.sha256(deciding.encode()).hexdigest()[:24]

    def dollars(self, events: int) -> float:
        """About what so many events cost."""
        budget = self.budget
        is_custom = self.destination.kind == "custom_bus"
        price = budget.price_per_million_custom_events if is_custom else budget.price_per_million_events
        return events / 1e6 * price

    @property
    def rates(self) -> tuple[float | None, float | None]:
        """The whole budget: requests and entries per second. None is no limit, and one of the two always is one.

        Without a setting, the requests are a share of the quota of the region, if AWS publishes one.
        """
        requests, entries = self.budget.requests_per_second, self.budget.entries_per_second
        if requests is None and self.destination.quota is not None:
            requests = self.budget.share_of_quota * self.destination.quota
        return requests, entries

    @model_validator(mode="after")
    def _takes_a_share_of_what_is_there(self) -> Connector:
        if self.destination.quota is None and "share_of_quota" in self.budget.model_fields_set:
            raise ValueError(
                f"budget.share_of_quota has no effect: AWS publishes no quota for a {self.destination.kind}; remove it "
                "and set entries_per_second"
            )
        return self

    @model_validator(mode="after")
    def _has_a_budget(self) -> Connector:
        if self.destination.quota is None and self.budget.entries_per_second is None:
            raise ValueError(
                f"budget.entries_per_second is missing: AWS publishes no quota for a {self.destination.kind} that a "
                "share could be taken of; set it to the events per second that this connector may send"
            )
        return self

    @model_validator(mode="after")
    def _groups_take_the_budget(self) -> Connector:
        groups = self.destination.event_groups if isinstance(self.destination, CustomBusDestination) else None
        rate = self.budget.entries_per_second
        if groups and rate and groups * _EVENTS_OF_A_GROUP < rate:
            raise ValueError(
                f"destination.event_groups is {groups}, but budget.entries_per_second is {rate:.15g}, and a group "
                f"takes {_EVENTS_OF_A_GROUP} events of 1 KB a second; set event_groups to "
                f"{ceil(rate / _EVENTS_OF_A_GROUP)} or more, or entries_per_second to {groups * _EVENTS_OF_A_GROUP} "
                "or less"
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
    def _deadline_comes_after_the_run(self) -> Connector:
        deadline, delay = self.notify.deadline_minutes, self.schedule.delay_minutes
        if self.notify.on_missed_deadline and deadline <= delay:
            raise ValueError(
                f"notify.deadline_minutes is {deadline}, but an hour runs only {delay} minutes after its end, as "
                f"schedule.delay_minutes says; set it to more than that"
            )
        return self


def pool_slots(connectors: Collection[Connector]) -> tuple[int, int]:
    """The slots of the pools that connectors share, that of live hours and that of backfills.

    Each has the fewest that any connector says, so that none of them exceeds its budget.
    """
    budgets = [connector.budget for connector in connectors]
    return min(each.slots for each in budgets), min(each.backfill_slots for each in budgets)
