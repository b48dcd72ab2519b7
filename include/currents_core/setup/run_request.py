"""What one run is asked to do: which hours, which event types, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from currents_core.counted import counted
from currents_core.errors import SetupError, shown
from currents_core.hour import format_hour, hours_back, parse_hour
from currents_core.mode import Mode
from currents_core.setup.patterns import correction, matches_any, require_pattern
from currents_core.setup.settings import AutomaticRedrive, Connector

_FIELDS: dict[str, type] = {
    "hour": str,
    "until": str,
    "reason": str,
    "event_types": list,
    "codes": list,
    "max_events": int,
    "pace": int,
}
_WRITE: dict[type, str] = {str: "a text", list: "a list of texts", int: "a whole number"}
# Braze has no files of years before.
_FIRST_YEAR = "2011"
# A month, which still takes only a minute or two to plan. A backfill takes any stretch of time, one hour per run.
MOST_HOURS = 31 * 24


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What one run is asked to do.

    ``hours`` are exported in full. A run that ``looks_back`` also delivers what is still open of the ``past`` ones.
    ``event_types`` are shell patterns that narrow down the connector's own, and ``codes`` are patterns for the dead
    letters of a redrive; empty means all. ``is_replay``: the run sends again what was sent, with books of its own.
    ``is_redrive``: it sends dead letters again, rather than files, and with ``most_redrives`` only those that were sent
    again less often. ``max_events`` is the number of events after which
    the run stops. ``pace`` is the fraction of the task's share to send at, above 0 and up to 1. ``mark`` is how its
    events are marked. ``reason`` says why a replay is wanted. ``keeps_books``: the connector's source or destination
    was changed on purpose, and the books of before go on.
    """

    hours: tuple[str, ...]
    past: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    is_replay: bool = False
    is_redrive: bool = False
    most_redrives: int | None = None
    is_dry: bool = False
    max_events: int | None = None
    pace: float = 1.0
    mark: Mode = "live"
    reason: str = ""
    looks_back: bool = False
    keeps_books: bool = False

    @property
    def is_partial(self) -> bool:
        """Whether the run may leave files open on purpose."""
        return self.is_dry or self.max_events is not None

    @property
    def has_own_books(self) -> bool:
        """Whether the connector's books say nothing of the run: a dry run keeps none, and a replay has its own."""
        return self.is_dry or self.is_replay

    @property
    def summary(self) -> str:
        """What the run does, for people: its hours, and whatever is not as in a scheduled run."""
        first, last = self.hours[0], self.hours[-1]
        told = [
            first if first == last else f"{first} to {last}, {len(self.hours)} hours",
            *(f"`{pattern}`" for pattern in (*self.event_types, *self.codes)),
            self.is_dry and "dry run",
            self.max_events and f"at most {counted(self.max_events, 'event')}",
            self.pace < 1 and f"pace {self.pace:.0%}",
            self.is_replay and f"sent again: {shown(self.reason)}",
        ]
        return ", ".join(each for each in told if each)

    @property
    def may_need_approval(self) -> str:
        """What the run does, if a person may have to approve of it; empty if nobody ever has to."""
        if self.is_dry or self.looks_back or self.most_redrives is not None:
            return ""
        if self.is_redrive:
            return "dead letters are sent again"
        if self.is_replay:
            return "events are sent again"
        return "a stretch of hours is sent" if len(self.hours) > 1 else ""

    def require_begun(self, now: datetime) -> None:
        """Raises SetupError if an hour lies in the future: it has no files yet, but must not pass for an empty hour."""
        ahead = [each for each in self.hours if parse_hour(each) > now]
        if ahead:
            raise SetupError(f"the hour {ahead[0]} has not begun: it is {format_hour(now)} in UTC; correct the hour")

    def wants(self, event_type: str | None) -> bool:
        """Whether the run wants the files of an event type; None stands for files whose event type no folder names.

        Such a file may contain any event types. Selecting some of them would mark it done with only those rows sent, so
        no pattern matches it.
        """
        return not self.event_types or (event_type is not None and matches_any(event_type, self.event_types))

    def require_known(self, event_types: Iterable[str]) -> None:
        """Raises SetupError if a pattern matches none of ``event_types``, with the nearest one as a suggestion."""
        known = sorted(event_types)
        for pattern in self.event_types:
            if not any(matches_any(each, [pattern]) for each in known):
                meant = correction(pattern, known)
                near = f"; did you mean {meant}?" if meant else ""
                raise SetupError(f"the connector exports no event type {pattern}; correct the event types{near}")

    def wants_letter(self, letter: Mapping[str, Any]) -> bool:
        """Whether the redrive wants a dead letter, by its event type and code."""
        is_left = self.most_redrives is None or letter.get("redrives", 0) < self.most_redrives
        is_chosen = not self.codes or matches_any(letter["code"], self.codes)
        return is_left and is_chosen and self.wants(letter["event_type"])


def form_request(params: Mapping[str, Any], hour: str, *, is_backfill: bool = False) -> RunRequest:
    """What a run for ``hour`` is asked to do by the fields of a trigger form, whatever its connector.

    Raises SetupError if the fields contradict each other.
    """
    _require_types(params)
    asked, until = params.get("hour"), params.get("until")
    if (asked and format_hour(parse_hour(asked)) != hour) or (until and is_backfill):
        raise SetupError(f"this run already has its hour, {hour}; leave `hour` and `until` empty")
    if until and not asked:
        raise SetupError("`until` ends a stretch of hours that `hour` begins; fill in `hour`, or leave `until` empty")
    is_replay, reason = bool(params.get("replay")), str(params.get("reason") or "").strip()
    if is_replay and not reason:
        raise SetupError("a replay sends events again that were sent before; give a `reason` to confirm")
    if reason and not is_replay:
        raise SetupError("`reason` is for replays only; turn `replay` on, or leave `reason` empty")
    return RunRequest(
        hours=_stretch(hour, until),
        event_types=patterns_of(params, "event_types"),
        codes=patterns_of(params, "codes"),
        is_replay=is_replay,
        is_dry=bool(params.get("dry_run")),
        max_events=params.get("max_events"),
        pace=(params.get("pace") or 100) / 100,
        reason=reason,
        keeps_books=bool(params.get("keep_books")),
    )


def run_request(
    params: Mapping[str, Any], hour: str, connector: Connector, *, is_scheduled: bool = False, is_backfill: bool = False
) -> RunRequest:
    """What an export of ``hour`` is asked to do by the fields of its trigger form.

    Only scheduled runs look back: whoever runs hours by hand, or as a backfill, asks for these and no others. Raises
    SetupError if the fields contradict each other.
    """
    asked = form_request(params, hour, is_backfill=is_backfill)
    mark: Mode = "replay" if asked.is_replay else "backfill" if is_backfill else "live"
    return replace(
        asked,
        past=tuple(hours_back(asked.hours[0], connector.lookback_hours)) if is_scheduled else (),
        looks_back=is_scheduled,
        mark=mark if connector.mark_backfills else "live",
    )


def automatic_redrive_request(settings: AutomaticRedrive, hour: str) -> RunRequest:
    """What a redrive that nobody asked for does, up to ``hour``."""
    hours = (*hours_back(hour, settings.hours - 1), hour)
    return RunRequest(hours, codes=settings.codes, is_redrive=True, most_redrives=settings.tries)


def redrive_request(params: Mapping[str, Any], hour: str) -> RunRequest:
    """What a redrive from ``hour`` on is asked to do by the fields of its trigger form.

    Raises SetupError if the fields contradict each other.
    """
    return replace(form_request(params, hour), is_redrive=True)


def patterns_of(params: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """The shell patterns in a field of a form. Raises SetupError if one is none."""
    try:
        return tuple(require_pattern(str(each)) for each in params.get(field) or ())
    except ValueError as error:
        raise SetupError(f"`{field}`: {error}") from None


def _require_types(params: Mapping[str, Any]) -> None:
    """Raises SetupError if a field has a value of another type: whoever triggers without the form may give any."""
    for name, kind in _FIELDS.items():
        value = params.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise SetupError(f"`{name}` is {shown(repr(value), 60)}; write {_WRITE[kind]}")


def _stretch(hour: str, until: str | None) -> tuple[str, ...]:
    """Every hour from ``hour`` to ``until``, both included."""
    if hour[:4] < _FIRST_YEAR:
        raise SetupError(f"there are no files of {hour}; correct the hour")
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
