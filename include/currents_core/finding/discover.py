"""Finds what there is to deliver: files that are not delivered yet, or dead letters."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable

from currents_core.books.dead_letter import Letter, letters_of
from currents_core.books.ledger import Ledger
from currents_core.catalog import catalog
from currents_core.counted import counted
from currents_core.file_key import Slice, SourceFile
from currents_core.finding.find_files import find_files
from currents_core.ports import ObjectStore
from currents_core.setup.run_request import RunRequest
from currents_core.setup.settings import Connector

log = logging.getLogger(__name__)


def undelivered(
    connector: Connector, source: ObjectStore, ledger: Ledger, request: RunRequest
) -> dict[Slice, list[SourceFile]]:
    """The slices of a request's hours, and of its past hours, in which something is open, with their open files.

    Open is also a slice of the request's own hours that has files which failed or were not completed, and are not
    listed any more: who claims it finds out what became of them. A file of a past hour that could not be read is left
    to runs of its own hour: it must not fail every run that looks back on it. Raises SetupError if the request names an
    event type that the connector does not export.
    """
    hours = (*request.past, *request.hours)
    known = set(catalog())

    def wants(event_type: str) -> bool:
        known.add(event_type)
        return connector.event_types.wants(event_type) and request.wants(event_type)

    found = find_files(source, connector.source.prefix, hours, wants)
    request.require_known(event_type for event_type in known if connector.event_types.wants(event_type))
    files = [file for file in found if request.wants(file.event_type)]
    if len(files) < len(found):
        log.warning("left out %s whose event type no folder names", counted(len(found) - len(files), "file"))
    states = {file_id: state for hour in hours for head in ledger.heads(hour) for file_id, state in head.files.items()}
    past = set(request.past)
    delivered = {state.file.key for state in states.values() if state.fate == "done"}
    work: dict[Slice, list[SourceFile]] = {}
    for file in files:
        state = states.get(file.id)
        if state and (state.fate == "done" or (state.fate == "failed" and file.hour in past)):
            continue
        if file.key in delivered:
            log.warning("%s has changed since it was delivered; its new rows will be sent", file.uri)
        work.setdefault(file.slice, []).append(file)
    listed = {file.id for file in files}
    for file_id, state in states.items():
        if state.fate in {"open", "failed"} and file_id not in listed and request.wants(state.file.event_type):
            work.setdefault(state.file.slice, [])
    return work


def with_letters(
    ledger: Ledger, hours: Iterable[str], wants: Callable[[Letter], bool]
) -> tuple[dict[Slice, list[SourceFile]], Counter[Slice]]:
    """The slices of ``hours`` that have wanted dead letters: the files of these letters, and how many there are.

    It looks without a claim: whoever claims a slice decides which letters it sends.
    """
    work: dict[Slice, list[SourceFile]] = {}
    counts = Counter[Slice]()
    for head in (head for hour in hours for head in ledger.heads(hour)):
        done = [state for state in head.files.values() if state.fate == "done"]
        files = Counter(state.file for state, letter in letters_of(ledger.pages(head.slice), done) if wants(letter))
        if files:
            work[head.slice] = list(files)
            counts[head.slice] = files.total()
    return work, counts
