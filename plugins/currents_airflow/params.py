"""The fields of the trigger form."""

from __future__ import annotations

from airflow.sdk import Param

from include.currents.hour import HOUR_PATTERN


def export_params() -> dict[str, Param]:
    """What a run of the export DAG can be asked for; scheduled runs and backfills leave all of it as it is."""
    return {
        "hour": _hour("Hour", "The hour to export, as YYYY-MM-DD-HH in UTC. Scheduled runs have theirs already."),
        "until": _hour("Until", "The last hour, to export every hour from the first to this one; empty for one hour."),
        "event_types": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "minLength": 1},
            title="Event types",
            description="One a line, such as users.messages.email.Open or users.messages.*; empty for all that the "
            "connector exports.",
            section="What",
        ),
        "max_events": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="At most so many events",
            description="Ends after so many; a later run goes on from there. Empty for all.",
            section="What",
        ),
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description="Reads and prepares everything, sends nothing, and reports in the log of `reconcile` what "
            "sending would come to.",
            section="How",
        ),
        "pace": Param(
            100,
            type="integer",
            minimum=1,
            maximum=100,
            title="Pace",
            description="Per cent of the run's share of the budget.",
            section="How",
        ),
        "replay": Param(
            False,
            type="boolean",
            title="Send again",
            description="Sends what was already sent once more. Events say so in currents_export.mode.",
            section="Replay",
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            maxLength=500,
            title="Reason",
            description="Why events are sent again; a replay needs one.",
            section="Replay",
        ),
    }


def _hour(title: str, description: str) -> Param:
    return Param(
        None, type=["null", "string"], pattern=HOUR_PATTERN, title=title, description=description, section="When"
    )
