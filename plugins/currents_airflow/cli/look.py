"""Looks for an event in the files of the source, which say more than the books: of a filtered row, these have no id."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from currents_core.errors import FileError
from currents_core.setup.run_request import run_request
from currents_core.setup.settings import Connector

if TYPE_CHECKING:
    from currents_airflow.parts import RunParts
    from currents_core.books.find_id import Place
    from currents_core.delivering.look_up import Judged
    from currents_core.file_key import SourceFile

# The page waits for an answer, and gives up a little later.
_SECONDS = 45.0


def look(
    connector: Connector, event_id: str, date: str, event_type: str | None, known: Collection[Place]
) -> dict[str, Any]:
    """The rows with an id in the files of a date that ``known``, what the books say of it, leaves out.

    `files` of `of` were looked at, as time permits. Each row has its `fate` under today's settings.
    """
    from currents_airflow.parts import RunParts
    from currents_core.finding.find_files import find_files

    hours = [f"{date}-{hour:02}" for hour in range(24)]
    # As a dry run, which forgets what it writes.
    parts = RunParts(connector, run_request({"dry_run": True}, hours[0], connector), "find")
    files = find_files(parts.source, connector.source.prefix, hours, lambda kind: event_type in (None, kind))
    rows, faults, looked, deadline = [], [], 0, time.monotonic() + _SECONDS
    for file in files:
        if time.monotonic() > deadline:
            break
        looked += 1
        try:
            rows += [_told(judged, parts, known) for judged in _judged(parts, event_id, file)]
        except FileError as error:
            faults.append(str(error))
    places = {(place.file.uri, place.row) for place in known}
    unknown = [row for row in rows if (row["file"], row["row"]) not in places]
    return {"date": date, "files": looked, "of": len(files), "rows": unknown, "faults": faults}


def _judged(parts: RunParts, event_id: str, file: SourceFile) -> Iterator[Judged]:
    from currents_core.crew import Threads
    from currents_core.delivering.claim_checks import Cloakroom
    from currents_core.delivering.look_up import look_up
    from currents_core.delivering.prepare import Preparation

    connector, crew = parts.connector, Threads()
    cloakroom = Cloakroom(parts.state, parts.hours, crew, crew.sleep) if connector.oversized == "claim_check" else None
    preparation = Preparation(connector, parts.target.limits, parts.target.wire, parts.personal_data, cloakroom)
    with NamedTemporaryFile(prefix="currents-find-") as content:
        parts.source.download(file.key, file.etag, content)
        content.flush()
        yield from look_up(event_id, file, Path(content.name), preparation)


def _told(judged: Judged, parts: RunParts, known: Collection[Place]) -> dict[str, Any]:
    return {
        "fate": _fate(judged, parts, known),
        "event_type": judged.file.event_type,
        "hour": judged.file.hour,
        "file": judged.file.uri,
        "row": judged.row,
        "reason": judged.reason,
    }


def _fate(judged: Judged, parts: RunParts, known: Collection[Place]) -> str:
    """What became of a row: the books know of its file, but not of each row that was not accepted."""
    if not parts.connector.event_types.wants_files(judged.file.event_type):
        return "not exported, by its event type"
    head = parts.ledger.head(judged.file.slice)
    state = head.files.get(judged.file.id) if head else None
    if not state or state.fate != "done":
        return "not delivered yet"
    if judged.fate != "to send":
        return judged.fate
    # The row itself, if it is among the known ones, is left out of the answer.
    fates = {place.fate for place in known if place.slice == judged.file.slice}
    if "accepted" in fates:
        return "duplicate"
    return "duplicate of a dead letter" if fates else "left out, under the settings of its time"
