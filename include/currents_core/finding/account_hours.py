"""How a run accounts for its hours, once its deliveries have ended, and what it leaves for later runs to know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from currents_core.books.index import Index, IndexObject, window_start
from currents_core.books.ledger import Ledger
from currents_core.books.manifest import Before, Manifest, reconcile
from currents_core.books.manifests import Draft, Manifests
from currents_core.file_key import SourceFile, event_type_of
from currents_core.finding.discover import Look
from currents_core.finding.find_files import files_in, type_folders
from currents_core.ports import ObjectStore
from currents_core.setup.run_request import RunRequest
from currents_core.setup.settings import Connector


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of a run's hours: manifests to be written, and ``unchanged`` ones as they are stored, by hour."""

    drafts: Sequence[Draft]
    unchanged: Mapping[str, Mapping[str, Any]]

    @property
    def manifests(self) -> list[Manifest]:
        """The manifests to be written, or as they were written."""
        return [draft.manifest for draft in self.drafts]

    def complaints(self, request: RunRequest, failed: Sequence[str]) -> list[str]:
        """Why the run must fail: its own hours that are not complete, and files of past hours that it could not read.

        ``failed`` are its failed tasks. What else is open belongs to a task that is at it, is of event types that the
        run was not for, or was found by a later run: the next run finds it.
        """
        faults = [
            each.complaint
            for each in (manifest.of_run() for manifest in self.manifests)
            if not (request.is_partial or each.complete)
            and (each.hour in request.hours or (failed and each.missed & each.failed))
        ]
        return faults or [f"{name} failed; see its log" for name in failed]


def account(
    connector: Connector,
    request: RunRequest,
    found: Look,
    ledger: Ledger,
    manifests: Manifests,
    *,
    source: ObjectStore,
    announces: bool,
) -> Accounts:
    """Accounts for the hours in which a run ``found`` something, from the ledger, and for its own.

    Where nothing is new in an hour of its own, the stored manifest says all there is to say, unless the hour is still
    to be announced. The ``source`` is asked only where that calls files open that are so no longer.
    """
    unchanged = {}
    for hour in request.hours:
        kept = manifests.read(hour) if hour not in found.hours else None
        if kept and kept["complete"] and (kept["announced"] or not announces):
            unchanged[hour] = kept
    planned: dict[str, list[SourceFile]] = {hour: [] for hour in (*found.hours, *request.hours)}
    for place, files in found.work.items():
        planned[place.hour].extend(files)
    untried = defaultdict(list)
    for file in found.untried:
        untried[file.hour].append(file)

    hours = sorted(planned.keys() - unchanged.keys())
    drafts = [
        manifests.draft(
            hour,
            partial(account_of, connector, hour, ledger, source, planned=planned[hour], untried=untried[hour]),
        )
        for hour in hours
    ]
    return Accounts(drafts, unchanged)


def account_of(
    connector: Connector,
    hour: str,
    ledger: Ledger,
    source: ObjectStore,
    before: Mapping[str, Any] | None,
    *,
    planned: Collection[SourceFile] = (),
    untried: Iterable[SourceFile] = (),
) -> Manifest:
    """The manifest of an hour that replaces ``before``. See ``reconcile`` for what was ``planned``, and ``untried``."""

    def files(keys: Set[str]) -> Iterable[SourceFile]:
        # An hour that failed may have thousands: a request for each folder, not for each file.
        kinds = set(map(event_type_of, keys))
        folders = type_folders(source, connector.source.prefix, kinds.__contains__)
        return (file for file in files_in(source, folders, [hour]) if file.key in keys)

    return reconcile(
        connector.name,
        hour,
        planned,
        ledger,
        untried=untried,
        before=Before(before, files) if before else None,
        wants=connector.event_types.wants_files,
    )


def remember(books: IndexObject, connector: Connector, found: Look, drafts: Sequence[Draft]) -> None:
    """Notes in the index what a run judged, once the manifests of its hours are written.

    Raises TransientError if others were always first, or the store gave no answer.
    """
    written = {draft.manifest.hour: draft.seq for draft in drafts}
    opened = {place for draft in drafts for place in draft.manifest.open_slices}
    settled = {place: told for place, told in found.judged.items() if place.hour in written and place not in opened}

    def step(index: Index) -> Index:
        after = replace(index.with_accounted(written, settled, opened), stream=index.stream or connector.stream)
        return after.since(window_start(after.newest, connector.lookback_hours))

    books.change(step)
