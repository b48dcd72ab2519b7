"""Which commands there are. Whoever only asks for `airflow --help` loads nothing else."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command


def _arg(flag: str, **options: Any) -> Arg:
    return Arg((flag,), **options)  # type: ignore[no-untyped-call]


def _days(text: str) -> int:
    """A number of days whose hours a command can tell of."""
    if text not in map(str, range(1, _MOST_DAYS + 1)):
        raise ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST_DAYS}")
    return int(text)


_MOST_DAYS = 400
_CONNECTOR = _arg("--connector", help="the name of a connector; all of them by default")
_JSON = _arg("--json", action="store_true", help="print JSON, for programs")

COMMANDS = (
    ActionCommand(
        name="validate",
        help="Look for faults in the connectors file, and with --live in what it names; exits with 1 if there are any",
        func=lazy_load_command("currents_airflow.cli.validate.validate"),
        args=(
            _arg(
                "--live",
                action="store_true",
                help="also try connections, buckets, prefixes, destinations and permissions; nothing is sent",
            ),
            _CONNECTOR,
            _JSON,
        ),
    ),
    ActionCommand(
        name="status",
        help="What became of the hours of the last days: which are delivered, and which are not",
        func=lazy_load_command("currents_airflow.cli.status.status"),
        args=(
            _CONNECTOR,
            _arg("--days", type=_days, default=7, help="how many days, up to today, from 1 to 400 (default: 7)"),
            _JSON,
        ),
    ),
    ActionCommand(
        name="find",
        help="Where an event is, and what became of it",
        func=lazy_load_command("currents_airflow.cli.find.find"),
        args=(
            _arg("id", help="the event's `id`"),
            _CONNECTOR,
            _arg(
                "--day",
                help="the day, as YYYY-MM-DD in UTC, of the hour that its file belongs to; 31 days by default",
            ),
            _arg(
                "--source",
                action="store_true",
                help="also look into the source's files of the day: was its row filtered, or is it not there at all?",
            ),
            _arg("--event-type", help="look into the files of this event type alone"),
            _JSON,
        ),
    ),
    ActionCommand(
        name="letters",
        help="A few dead letters of an hour, without personal data",
        func=lazy_load_command("currents_airflow.cli.letters.letters"),
        args=(
            _arg("hour", help="the hour, as YYYY-MM-DD-HH in UTC"),
            _CONNECTOR,
            _arg("--code", help="only those with this code"),
            _arg("--event-type", help="only those of this event type"),
            _JSON,
        ),
    ),
    ActionCommand(
        name="source",
        help="Hints that something is missing in the source on a day: numbers that its files skip",
        func=lazy_load_command("currents_airflow.cli.source.source"),
        args=(_CONNECTOR, _arg("--day", help="the day, as YYYY-MM-DD in UTC (default: today)"), _JSON),
    ),
)


def commands() -> list[GroupCommand]:
    """The group of commands, for Airflow."""
    return [GroupCommand(name="currents", help="What became of exported Braze Currents events", subcommands=COMMANDS)]
