"""`airflow currents validate`: what is wrong with the connectors, before a run meets it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from currents_airflow import notices
from currents_airflow.cli.asked import tell, told_faults
from currents_airflow.connectors import all_connectors
from currents_core.counted import counted
from currents_core.errors import CurrentsError
from currents_core.ports import Finding
from currents_core.setup.fitting import unknown_patterns
from currents_core.setup.patterns import matches_any
from currents_core.setup.run_request import run_request
from currents_core.setup.settings import Connector
from currents_core.showing.calendar import newest_hour

if TYPE_CHECKING:
    from currents_airflow.parts import RunParts


class Found(NamedTuple):
    """One thing that was looked at: of which connector, how bad it is, and what was found."""

    connector: str
    level: str
    text: str


def validate(args: argparse.Namespace) -> None:
    """Prints everything that was found. Exits with 1 where something is an error."""
    with told_faults():
        found = [each._asdict() for each in look(args.connector, is_live=args.live)]
    tell(args, found, text)
    if any(each["level"] == "error" for each in found):
        sys.exit(1)


def text(found: dict[str, Any]) -> str:
    """One thing that was looked at, for people."""
    of = f"{found['connector']}: " if found["connector"] else ""
    return f"{found['level']}: {of}{found['text'].removeprefix(of)}"


def look(name: str | None, *, is_live: bool) -> Iterator[Found]:
    """Looks at the file, and at one connector or all of them. Raises SetupError where there is no readable file."""
    connectors = all_connectors()
    yield from (Found("", "error", fault) for fault in connectors.faults)
    chosen = [each for each in connectors.valid.values() if name in (None, each.name)]
    sound = 0
    for connector in chosen:
        faults = list(notices.faults([connector]))
        sound += not faults
        yield from (Found("", "error", fault) for fault in faults)
        for pattern in unknown_patterns(connector):
            text = f"event_types: Braze documents no event type that matches {pattern}"
            yield Found(connector.name, "warning", text)
        if is_live:
            yield from _live(connector)
    if sound:
        yield Found("", "ok", f"{connectors.path}: {counted(sound, 'connector')} without a fault in the file")
    if name and not chosen:
        rest = ", or it has one of these faults" if connectors.faults else ""
        yield Found(name, "error", f"there is no connector {name} in {connectors.path}{rest}")
    elif not chosen and not connectors.faults:
        yield Found("", "error", f"there is no connector in {connectors.path}")


def _live(connector: Connector) -> Iterator[Found]:
    """Looks at what a connector names."""
    from currents_airflow.parts import RunParts

    hour = newest_hour(datetime.now(UTC))
    parts = RunParts(connector, run_request({}, hour, connector), "validate")
    for step in (_source, _state, _destination):
        yield from _tried(connector, parts, step)


def _tried(connector: Connector, parts: RunParts, step: Callable[[RunParts], Iterator[Finding]]) -> Iterator[Found]:
    try:
        for finding in step(parts):
            yield Found(connector.name, "warning" if finding.is_warning else "ok", str(finding))
    except CurrentsError as error:
        yield Found(connector.name, "error", str(error))


def _source(parts: RunParts) -> Iterator[Finding]:
    """Whether there are folders of event types, and whether each pattern matches one."""
    from currents_core.finding.find_files import type_folders

    connector = parts.connector
    place = f"s3://{connector.source.bucket}/{connector.source.prefix}"
    folders = list(type_folders(parts.source, connector.source.prefix, lambda _: True))
    kinds = {each.rstrip("/").rpartition("event_type=")[2] for each in folders if "event_type=" in each}
    wanted = sorted(kind for kind in kinds if connector.event_types.wants(kind))
    if folders and not kinds:
        yield Finding("source", f"{place} has hours, whose folders name no event type")
        return
    text = f"{place} has {counted(len(kinds), 'event type')}, of which {len(wanted)} are exported"
    yield Finding("source", text, is_warning=not wanted)
    for pattern in connector.event_types.include:
        if pattern != "*" and not any(matches_any(kind, [pattern]) for kind in kinds):
            yield Finding("event_types", f"nothing below {place} matches {pattern}", is_warning=True)


def _state(parts: RunParts) -> Iterator[Finding]:
    """Whether the books can be read, and are of this stream."""
    from currents_core.finding.window import require_stream

    require_stream(parts.index.read(), parts.connector, parts.index.uri, keeps_books=False)
    yield Finding("state", f"{parts.index.uri} can be read, or there are no books yet")


def _destination(parts: RunParts) -> Iterator[Finding]:
    """What a run by hand looks at before it sends."""
    try:
        yield from parts.preflight(tries=True)
    finally:
        parts.bus.close()
