"""Hours: Braze's partitions `date=YYYY-MM-DD-HH`, each the UTC hour in which its events were queued.

Source:
https://www.braze.com/docs/user_guide/data/distribution/braze_currents/setting_up_currents/event_delivery_semantics
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from currents_core.errors import SetupError

HOUR_FORMAT = "%Y-%m-%d-%H"
# Dates near the ends of those that there are have no neighbors.
_YEARS = range(2, 9999)
# Not \d, which also matches the digits of other scripts.
HOUR_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{2}$"
_LIVE = timedelta(hours=2)


def parse_hour(text: str) -> datetime:
    """The start of the hour that ``text`` names, such as `2026-11-23-08`, as an aware datetime in UTC.

    Raises SetupError if the text is not a valid hour.
    """
    try:
        # strptime also accepts "2026-1-2-3", but Braze names no folder like that.
        if not isinstance(text, str) or not re.fullmatch(HOUR_PATTERN, text):
            raise ValueError(text)
        found = datetime.strptime(text, HOUR_FORMAT).replace(tzinfo=UTC)
        if found.year not in _YEARS:
            raise ValueError(text)
        return found
    except ValueError:
        raise SetupError(f"{text!r} is not a valid hour; write YYYY-MM-DD-HH in UTC, such as 2026-11-23-08") from None


def is_hour(text: str) -> bool:
    """Whether ``text`` names a valid hour."""
    try:
        parse_hour(text)
    except SetupError:
        return False
    return True


def format_hour(moment: datetime) -> str:
    """The name of the UTC hour that contains ``moment``, an aware datetime."""
    return moment.astimezone(UTC).strftime(HOUR_FORMAT)


def date_of_hour(hour: str) -> str:
    """The UTC date of an hour, as YYYY-MM-DD."""
    return hour[:10]


def date_end(date: str) -> datetime:
    """The end of a UTC date, as an aware datetime."""
    return hour_end(f"{date}-23")


def hour_end(hour: str) -> datetime:
    """The end of an hour, as an aware datetime in UTC. Raises SetupError if ``hour`` is not valid."""
    return parse_hour(hour) + timedelta(hours=1)


def is_live(hour: str, now: datetime) -> bool:
    """Whether an hour is over for less than two hours at ``now``: who runs an older one catches up.

    Raises SetupError if ``hour`` is not valid.
    """
    return now - hour_end(hour) < _LIVE


def hours_back(hour: str, count: int) -> list[str]:
    """The ``count`` hours before ``hour``, oldest first. Raises SetupError if ``hour`` is not valid."""
    start = parse_hour(hour)
    return [format_hour(start - timedelta(hours=back)) for back in range(count, 0, -1)]


def hours_between(hour: str, later: str) -> list[str]:
    """The hours after ``hour`` and before ``later``, oldest first. Raises SetupError if either is not valid."""
    count = (parse_hour(later) - parse_hour(hour)) // timedelta(hours=1) - 1
    return hours_back(later, max(count, 0))


def resolve_hour(partition_key: str | None, hour_param: str | None, data_interval_start: datetime | None) -> str:
    """The hour that a run is for: its partition key, or else its parameter `hour`, or else its data interval's start.

    Raises SetupError if there is none of them, or if the text is not a valid hour.
    """
    for text in (partition_key, hour_param):
        if text:
            return format_hour(parse_hour(text))
    if data_interval_start:
        return format_hour(data_interval_start)
    raise SetupError('this run has no hour; trigger it with {"hour": "YYYY-MM-DD-HH"} (UTC)')
