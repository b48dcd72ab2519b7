"""The routes about single events: dead letters, one event by its id, and what may be missing in the source."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from currents_airflow.page.access import OnePermitted
from currents_airflow.page.books import Books
from currents_airflow.page.bounded import answer
from currents_airflow.page.commands import Commands, pattern_of
from currents_airflow.page.grid import bounds, parsed_day, period
from currents_airflow.page.show import require_hour, show
from currents_core.showing.gaps import silences
from currents_core.showing.letter_codes import letters_of, meaning_of

router = APIRouter()


@router.get("/c/{name}/letters")
def letters(request: Request, connector: OnePermitted, until: str | None = None) -> Response:
    """The dead letters of a month."""
    last = parsed_day(until, datetime.now(UTC))
    found = letters_of(Books(connector).views(*bounds(last)))
    context = {
        "connector": connector,
        **period(last),
        "letters": found,
        "commands": [Commands(connector.name, each.hours[0], each.hours[-1]) for each in found.groups],
        "pattern_of": pattern_of,
    }
    return show(request, "letters", context)


@router.get("/c/{name}/letters/{hour}")
def samples(request: Request, connector: OnePermitted, hour: str, code: str = "", event_type: str = "") -> Response:
    """Some dead letters of an hour, without personal data."""
    require_hour(hour)
    asked = [f"--{name}={value}" for name, value in (("code", code), ("event-type", event_type)) if value]
    [found] = answer("letters", "--connector", connector.name, "--json", *asked, hour)
    context = {"connector": connector, "hour": hour, "found": found["letters"], "meaning": meaning_of(code)}
    return show(request, "samples", context)


@router.get("/c/{name}/source")
def source(request: Request, connector: OnePermitted, day: str = "") -> Response:
    """Hints that something is missing in the source."""
    last, found = parsed_day(None, datetime.now(UTC)), None
    silent = silences(Books(connector).views(*bounds(last)))
    if day:
        [found] = answer("source", "--connector", connector.name, "--json", f"--day={day}")
    context = {"connector": connector, "day": day, "found": found, "silent": silent, "last": last}
    return show(request, "source", context)


class Wanted(BaseModel):
    """An event that is looked for, in the books and, if ``source``, in the files of a day."""

    id: str = ""
    day: str = ""
    event_type: str = ""
    source: bool = False

    def words(self) -> list[str]:
        """The words of the command that looks for it."""
        asked = [f"--{name}={value}" for name, value in (("day", self.day), ("event-type", self.event_type)) if value]
        # What follows the dashes is no option, whatever it begins with.
        return [*asked, *["--source"] * self.source, "--", self.id.strip()]


@router.get("/c/{name}/find")
def find(request: Request, connector: OnePermitted, wanted: Annotated[Wanted, Query()]) -> Response:
    """Where an event is, and what became of it."""
    found = None
    if wanted.id.strip():
        [found] = answer("find", "--connector", connector.name, "--json", *wanted.words())
    return show(request, "find", {"connector": connector, "found": found, "wanted": wanted})
