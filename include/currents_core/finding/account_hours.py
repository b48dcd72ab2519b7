"""How a run accounts for its hours, once its deliveries have ended, and what it leaves for later runs to know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from currents_core.books.index import Index, IndexObject, window_start
from currents_core.books.ledger import Ledger
from currents_core.books.manifest import Before, Manifest, reconcile
from currents_core.books.manifests import Draft, Manifests
from currents_core.file_key import SourceFile
from currents_core.finding.discover import Look
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

    def complaints(self, request: RunRequest, found: Look, failed: Sequence[str]) -> list[str]:
        """Why the run must fail: its own hours that are not complete, and files of past hours that it could not read.

        ``failed`` are its failed tasks. What else is open belongs to a task that is at it, is of event types that the
        run was not for, or was found by a later run: the next run finds it.
        """
        own = {file.key for file in found.files}
        faults = [
            each.complaint
            for each in (manifest.of(own) for manifest in self.manifests)
            if not (request.is_partial or each.complete)
            and (each.hour in request.hours or (failed and own & each.failed))
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
    to be announced. The ``source`` is asked only for files that another run found and this one did not.
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

    def reconciled(hour: str, before: Mapping[str, Any] | None) -> Manifest:
        return reconcile(
            connector.name,
            hour,
            planned[hour],
            ledger,
            untried=untried[hour],
            before=Before(before, source) if before else None,
            wants=connector.event_types.wants_files,
        )

    hours = sorted(planned.keys() - unchanged.keys())
    return Accounts([manifests.draft(hour, partial(reconciled, hour)) for hour in hours], unchanged)


def remember(
    books: IndexObject, connector: Connector, request: RunRequest, found: Look, manifests: Sequence[Manifest]
) -> None:
    """Notes in the index what a run judged, once the manifests of its hours are written.

    Raises TransientError if others were always first, or the store gave no answer.
    """
    hours = {manifest.hour for manifest in manifests}
    opened = {place for manifest in manifests for place in manifest.open_slices}
    settled = {place: told for place, told in found.judged.items() if place.hour in hours and place not in opened}

    def step(index: Index) -> Index:
        after = index.with_accounted(hours, settled, opened)
        judged_by = found.settings if request.looks_back else index.judged_by
        after = replace(after, stream=index.stream or connector.stream, judged_by=judged_by)
        return after.since(window_start(after.newest, connector.lookback_hours))

    books.change(step)
