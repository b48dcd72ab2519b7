"""The fields of the trigger form."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import Param

from currents_core.hour import HOUR_PATTERN
from currents_core.setup.destination import Destination


def export_params() -> dict[str, Param]:
    """The form of the export DAG. Scheduled runs and backfills use its defaults."""
    return {
        "hour": _hour("Hour", "The hour to export, as YYYY-MM-DD-HH in UTC. Scheduled runs and backfills have theirs."),
        "until": _hour("Until", "The last hour, to export every hour from the first to this one; empty for one hour."),
        "event_types": _patterns(
            "Event types",
            "One a line, such as users.messages.email.Open or users.messages.*; empty for all that the connector "
            "exports.",
        ),
        "max_events": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Maximum events",
            description="Stops after this many events; a later run delivers the rest. Empty for all.",
            section="What",
        ),
        "dry_run": _dry_run("reconcile"),
        "pace": _pace(),
        "keep_books": Param(
            False,
            type="boolean",
            title="Keep the books",
            description="Once, after the connector's source or destination has changed: goes on with the books of "
            "before. What they call sent does not go to the new destination.",
            section="How",
        ),
        "replay": Param(
            False,
            type="boolean",
            title="Send again",
            description="Sends events that were already sent. They are marked with currents_export.mode.",
            section="Replay",
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            maxLength=500,
            title="Reason",
            description="Why events are sent again. Required with Send again.",
            section="Replay",
        ),
    }


def redrive_params(connectors: Sequence[str]) -> dict[str, Param]:
    """The form of the redrive DAG."""
    return {
        "connector": Param(
            connectors[0],
            type="string",
            enum=list(connectors),
            title="Connector",
            description="The connector whose dead letters are sent again.",
        ),
        "hour": _hour("Hour", "The hour the letters belong to, as YYYY-MM-DD-HH in UTC."),
        "until": _hour("Until", "The last hour, for every hour from the first to this one; empty for one hour."),
        "codes": _patterns(
            "Reasons",
            "Codes of dead letters, one a line, such as oversized or NotAuthorized*; empty for every reason.",
        ),
        "event_types": _patterns("Event types", "One a line, such as users.messages.*; empty for all."),
        "dry_run": _dry_run("conclude"),
        "pace": _pace(),
    }


def connect_params(destination: Destination) -> dict[str, Param]:
    """The form of the connect DAG: what matters for the kind of the destination."""
    return {**_of_kind(destination), "test_events": _test_events()}


def _of_kind(destination: Destination) -> dict[str, Param]:
    if destination.kind == "partner_source":
        return _of_consumer() if destination.customer_conn_id else {}
    create = _switch("Create the bus", "Creates the bus if it is missing.", default=True)
    if destination.kind == "custom_bus":
        kept = "How many days a bus that is created keeps events; empty for AWS's default."
        return {
            "create_bus": create,
            "retention_days": _days("Days of retention", kept, 365),
            "publish_schemas": _publish(),
        }
    return {
        "create_bus": create,
        "archive_days": _days(
            "Days in archive",
            "An archive keeps all events of the bus for this many days, and can replay them; empty for no archive.",
        ),
        "log_events": _switch(
            "Log events",
            "Writes each event to a CloudWatch log group, to see what arrives. Events hold personal data; a group that "
            "is created keeps them for three days.",
        ),
        **_of_consumer(),
    }


def _of_consumer() -> dict[str, Param]:
    """The fields about the account that events arrive in, which is ours or which we have a connection to."""
    discover = "Has EventBridge discover the schemas of what arrives on the bus. AWS bills discovery by the event."
    return {"discover_schemas": _switch("Discover schemas", discover), "publish_schemas": _publish()}


def _test_events() -> Param:
    return Param(
        None,
        type=["null", "array"],
        items={"type": "string", "minLength": 1},
        title="Test events",
        description="Sends one event of each of these event types, marked as a test, and looks whether it arrives. One "
        "pattern per line, such as users.messages.email.*; * for all, empty for none. Consumers get them.",
    )


def _publish() -> Param:
    return _switch(
        "Publish schemas",
        "Publishes the schemas of the connector's event types to EventBridge's schema registry; only those that "
        "changed get a new version.",
    )


def _switch(title: str, description: str, *, default: bool = False) -> Param:
    return Param(default, type="boolean", title=title, description=description)


def _days(title: str, description: str, most: int = 36_500) -> Param:
    return Param(None, type=["null", "integer"], minimum=1, maximum=most, title=title, description=description)


def _patterns(title: str, description: str) -> Param:
    return Param(
        None,
        type=["null", "array"],
        items={"type": "string", "minLength": 1},
        title=title,
        description=description,
        section="What",
    )


def _dry_run(task: str) -> Param:
    return Param(
        False,
        type="boolean",
        title="Dry run",
        description=f"Reads and prepares everything but sends nothing. The log of the task {task} reports "
        "what would be sent.",
        section="How",
    )


def _pace() -> Param:
    return Param(
        100,
        type="integer",
        minimum=1,
        maximum=100,
        title="Pace",
        description="Percent of the run's share of the budget.",
        section="How",
    )


def _hour(title: str, description: str) -> Param:
    # Without a section: the form opens only the one of such fields.
    return Param(None, type=["null", "string"], pattern=HOUR_PATTERN, title=title, description=description)
