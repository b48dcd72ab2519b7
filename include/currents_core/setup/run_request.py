"""What one run is asked to do: which hours, which event types, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Literal

from currents_core.errors import SetupError
from currents_core.hour import format_hour, hours_back, parse_hour
from currents_core.mode import Mode
from currents_core.setup.settings import Connector

# A month: its plan is still made in a minute or two. Backfills take any stretch of time, hour by hour.
MOST_HOURS = 31 * 24


@dataclass(frozen=True, slots=True)
class RunRequest:
    """``hours`` are exported whole; ``past`` ones are looked through for late files.

    ``event_types`` are shell patterns beside the connector's own, ``codes`` those of the dead letters that are sent
    again. ``pace`` is a part of the task's share, above 0 and up to 1. ``mark`` says in events that they are no live
    ones. ``reason`` is why a replay is wanted. ``own_books`` names the folder of a run's own books.
    """

    hours: tuple[str, ...]
    past: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    own_books: Literal["", "replays", "redrives"] = ""
    is_dry: bool = False
    max_events: int | None = None
    pace: float = 1.0
    mark: Mode = "live"
    reason: str = ""

    @property
    def is_redrive(self) -> bool:
        """Whether dead letters are sent again, rather than files."""
        return self.own_books == "redrives"

    @property
    def is_partial(self) -> bool:
        """Whether files may stay open on purpose."""
        return self.is_dry or self.max_events is not None

    def require_begun(self, now: datetime) -> None:
        """Raises SetupError where an hour lies ahead: nothing is there yet, which must not look like an empty hour."""
        ahead = [each for each in self.hours if parse_hour(each) > now]
        if ahead:
            raise SetupError(f"the hour {ahead[0]} has not begun: it is {format_hour(now)} in UTC; correct the hour")

    def wants(self, event_type: str | None) -> bool:
        """Whether files of an event type are asked for; None is for files of which no folder tells it.

        Those may hold any, and be done with when only some of their rows were sent: so no pattern takes them.
        """
        return not self.event_types or (event_type is not None and _matches(event_type, self.event_types))

    def require_known(self, event_types: Iterable[str]) -> None:
        """Raises SetupError where a pattern takes none of the event types that there are."""
        known = sorted(event_types)
        for pattern in self.event_types:
            if not any(fnmatchcase(each, pattern) for each in known):
                near = "".join(f"; did you mean {each}?" for each in get_close_matches(pattern, known, n=1))
                raise SetupError(f"the connector exports no event type {pattern}; correct the event types{near}")

    def wants_letter(self, letter: Mapping[str, Any]) -> bool:
        """Whether a dead letter is one of those that are to be sent again."""
        return self.wants(letter["event_type"]) and (not self.codes or _matches(letter["code"], self.codes))


def _matches(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, each) for each in patterns)


def run_request(params: Mapping[str, Any], hour: str, connector: Connector, *, is_backfill: bool = False) -> RunRequest:
    """What a run for ``hour`` with the parameters of the trigger form is asked to do.

    Raises SetupError where they do not go together.
    """
    asked, until = params.get("hour"), params.get("until")
    if (asked and format_hour(parse_hour(asked)) != hour) or (until and is_backfill):
        raise SetupError(f"this run already has its hour, {hour}; leave `hour` and `until` empty")
    hours = _stretch(hour, until)
    is_replay, reason = bool(params.get("replay")), str(params.get("reason") or "").strip()
    if is_replay and not reason:
        raise SetupError("a replay sends events again that were sent before; give a `reason` to confirm")
    if reason and not is_replay:
        raise SetupError("`reason` is for replays only; turn `replay` on, or leave `reason` empty")
    mark: Mode = "replay" if is_replay else "backfill" if is_backfill else "live"
    return RunRequest(
        hours=hours,
        # The hours before a backfill's have runs of their own, at the same time, or nobody asked for them.
        past=() if is_replay or is_backfill else tuple(hours_back(hours[0], connector.lookback_hours)),
        event_types=tuple(params.get("event_types") or ()),
        own_books="replays" if is_replay else "",
        is_dry=bool(params.get("dry_run")),
        max_events=params.get("max_events"),
        pace=(params.get("pace") or 100) / 100,
        mark=mark if connector.mark_backfills else "live",
        reason=reason,
    )


def sweep_request(hour: str, connector: Connector) -> RunRequest:
    """What a sweep in ``hour`` is asked to do: find the late files of the hours before it."""
    return RunRequest(hours=(), past=tuple(hours_back(hour, connector.schedule.sweep_hours)))


def redrive_request(params: Mapping[str, Any], hour: str) -> RunRequest:
    """What a redrive from ``hour`` on, with the parameters of its trigger form, is asked to do."""
    return RunRequest(
        hours=_stretch(hour, params.get("until")),
        event_types=tuple(params.get("event_types") or ()),
        codes=tuple(params.get("codes") or ()),
        own_books="redrives",
        is_dry=bool(params.get("dry_run")),
        pace=(params.get("pace") or 100) / 100,
    )


def _stretch(hour: str, until: str | None) -> tuple[str, ...]:
    """Every hour from the first to the last, both included."""
    first = parse_hour(hour)
    last = parse_hour(until) if until else first
    count = (last - first) // timedelta(hours=1) + 1
    if count < 1:
        raise SetupError(f"`until` ({until}) is before `hour` ({hour}); swap them")
    if count > MOST_HOURS:
        raise SetupError(
            f"{hour} to {until} is {count} hours, but one run takes at most {MOST_HOURS}; "
            "use Airflow's backfill, which makes a run for each hour"
        )
    return tuple(format_hour(first + timedelta(hours=number)) for number in range(count))
