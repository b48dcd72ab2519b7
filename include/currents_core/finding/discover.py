"""Finds what there is to deliver: files that are not delivered yet, or dead letters."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

from currents_core.books.dead_letter import Letter, letters_of
from currents_core.books.head import FileState, Head, is_done
from currents_core.books.index import Index
from currents_core.books.ledger import Ledger
from currents_core.catalog import catalog
from currents_core.counted import counted
from currents_core.file_key import Slice, SourceFile, by_slice, fingerprint
from currents_core.finding.find_files import find_files
from currents_core.finding.plan import work_as_json, work_from_json
from currents_core.ports import ObjectStore
from currents_core.setup.run_request import RunRequest
from currents_core.setup.settings import Connector

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What a run found.

    ``work`` are the slices in which something is open, with their open files; ``new`` are those that nobody has
    begun. ``judged`` has the fingerprint of the listing of each slice that is settled once its files in ``work``
    are done. ``hours`` are those to account for, and ``untried`` are open files of event types that the run is not for.
    """

    work: Mapping[Slice, Sequence[SourceFile]]
    judged: Mapping[Slice, str]
    hours: Sequence[str]
    new: Set[Slice] = frozenset()
    untried: Sequence[SourceFile] = ()

    @property
    def files(self) -> list[SourceFile]:
        """The open files of all slices."""
        return [file for files in self.work.values() for file in files]

    def without_ended(self, keeps: Callable[[str], bool], own: Collection[str]) -> Look:
        """The look without past hours whose state has ended since; ``keeps`` says so, and ``own`` are the run's own."""

        def stays(hour: str) -> bool:
            return hour in own or keeps(hour)

        return replace(
            self,
            work={place: files for place, files in self.work.items() if stays(place.hour)},
            judged={place: told for place, told in self.judged.items() if stays(place.hour)},
            hours=[*filter(stays, self.hours)],
            untried=[file for file in self.untried if stays(file.hour)],
        )

    def as_json(self) -> dict[str, Any]:
        """The look as the plan in the state stores it."""
        judged = [[*place, told] for place, told in self.judged.items()]
        return {
            "work": work_as_json(self.work),
            "judged": judged,
            "hours": [*self.hours],
            "untried": [asdict(file) for file in self.untried],
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Look:
        """The look that ``as_json`` gave."""
        judged = {Slice(hour, event_type): told for hour, event_type, told in raw["judged"]}
        # Earlier versions told of none.
        untried = [SourceFile(**each) for each in raw.get("untried", ())]
        return cls(work_from_json(raw["work"]), judged, raw["hours"], untried=untried)


def look(connector: Connector, source: ObjectStore, ledger: Ledger, request: RunRequest, index: Index) -> Look:
    """Finds what is open in a request's hours, and in those of its past hours that belong to the window.

    What the index calls settled is not looked at. Open is also a slice that has files which failed or were not
    completed, and are not listed any more: who claims it finds out what became of them. A file of a past hour that
    could not be read is left to runs of its own hour, unless the settings have changed since: it must not fail every
    run that looks back on it. A run for some event types also looks at the others where it keeps the connector's books,
    which must not call an hour complete while they are open. Raises SetupError if the request names an event type that
    the connector does not export.
    """
    # A run that is cleared days later would look back at days that have ended meanwhile.
    past = (hour for hour in request.past if index.looks_at(hour) and ledger.keeps(hour))
    hours = (*past, *request.hours)
    listed = by_slice(_wanted_files(connector, source, request, hours))
    judged = {
        place: told for place, files in listed.items() if (told := fingerprint(files)) != index.settled.get(place)
    }
    heads = {head.slice: head for head in _heads(ledger, index, hours, judged)}
    work: dict[Slice, Sequence[SourceFile]] = {}
    untried: list[SourceFile] = []
    for place in {**judged, **heads}:
        states = heads[place].files if place in heads else {}
        files = listed.get(place, ())
        leaves = _failed(states, connector) if place.hour in request.past else set()
        if leaves & {file.id for file in files}:
            judged.pop(place, None)
        opened = [file for file in files if file.id not in leaves and not is_done(states.get(file.id))]
        if not (request.wants(place.event_type) and connector.event_types.wants_files(place.event_type)):
            judged.pop(place, None)
            untried += opened
            continue
        if opened or _has_vanished(states.values(), files):
            work[place] = opened
        _tell_changed(opened, states.values())
    # What was open and is not listed any more was removed, or is of an event type that was excluded since.
    unlisted = (place for place in index.open if place not in listed)
    open_hours = {place.hour for place in (*work, *judged, *unlisted)}
    to_account = [hour for hour in hours if hour in open_hours or hour not in index.accounted]
    return Look(work, judged, to_account, work.keys() - heads.keys(), untried)


def _wanted_files(
    connector: Connector, source: ObjectStore, request: RunRequest, hours: Sequence[str]
) -> list[SourceFile]:
    known = set(catalog())

    def is_looked_at(event_type: str | None) -> bool:
        return request.wants(event_type) or not request.has_own_books

    def wants(event_type: str) -> bool:
        known.add(event_type)
        return connector.event_types.wants(event_type) and is_looked_at(event_type)

    found = find_files(source, connector.source.prefix, hours, wants)
    request.require_known(event_type for event_type in known if connector.event_types.wants(event_type))
    unnamed = [file for file in found if file.event_type is None]
    if unnamed and not request.wants(None):
        log.warning("left out %s whose event type no folder names", counted(len(unnamed), "file"))
    # Where the type comes below the hour, those of others are listed as well.
    return [
        file for file in found if is_looked_at(file.event_type) and connector.event_types.wants_files(file.event_type)
    ]


def _heads(ledger: Ledger, index: Index, hours: Sequence[str], judged: Collection[Slice]) -> Iterator[Head]:
    """The heads of the slices to look at: in hours that were accounted for before, those that changed or are open."""
    for hour in hours:
        if hour not in index.accounted:
            yield from ledger.heads(hour)
    known = {place for place in (*judged, *index.open) if place.hour in index.accounted and place.hour in hours}
    yield from ledger.heads_of(sorted(known, key=str))


def _failed(states: Mapping[str, FileState], connector: Connector) -> set[str]:
    """The ids of the files that failed, and that the settings of now make nothing else of."""
    # Earlier versions told of no settings.
    same = {"", connector.fingerprint}
    return {file_id for file_id, state in states.items() if state.fate == "failed" and state.settings in same}


def _has_vanished(states: Iterable[FileState], files: Sequence[SourceFile]) -> bool:
    """Whether files that failed or were not completed are no longer listed."""
    listed = {file.id for file in files}
    return any(state.fate in {"open", "failed"} and state.file.id not in listed for state in states)


def _tell_changed(files: Sequence[SourceFile], states: Iterable[FileState]) -> None:
    delivered = {state.file.key for state in states if state.fate == "done"}
    for file in files:
        if file.key in delivered:
            log.warning("%s has changed since it was delivered; its new rows will be sent", file.uri)


def with_letters(
    ledger: Ledger, hours: Iterable[str], wants: Callable[[Letter], bool]
) -> tuple[dict[Slice, list[SourceFile]], Counter[Slice]]:
    """The slices of ``hours`` that have wanted dead letters: the files of these letters, and how many there are.

    It looks without a claim: whoever claims a slice decides which letters it sends.
    """

    def wanted(head: Head) -> Counter[SourceFile]:
        done = [state for state in head.files.values() if state.fate == "done"]
        return Counter(state.file for state, letter in letters_of(ledger.pages(head.slice), done) if wants(letter))

    work: dict[Slice, list[SourceFile]] = {}
    counts = Counter[Slice]()
    for head in (head for hour in hours for head in ledger.heads(hour)):
        if files := ledger.look(head, wanted):
            work[head.slice] = list(files)
            counts[head.slice] = files.total()
    return work, counts
