"""Compacts a day: takes the heads and pages of its slices, and its manifests, into an index and a few pages.

No slice is claimed for it. First the index is replaced by compare-and-swap, and says which version of each head it took
in. Only then these go, each by a conditional delete: a head that somebody replaced meanwhile stays, and wins over what
the day says. With its head, a task that was at a slice loses it, and can't name pages any more: then its pages go. So a
compaction may end anywhere. The next one takes in what is new, and removes what is left.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from secrets import token_hex

from currents_core.books.day import Day
from currents_core.books.day_pages import DayPages, Taken
from currents_core.books.days import Days
from currents_core.books.head import parse_head
from currents_core.books.layout import Layout, claim_of_page, date_of, is_head
from currents_core.books.ledger import LEASE_SECONDS
from currents_core.books.manifest_objects import listed_manifests
from currents_core.books.pages import PageMissingError, Pages
from currents_core.crew import Crew, Job, Threads
from currents_core.disk_room import NoRoomError, require_room
from currents_core.errors import ConflictError, SetupError, TransientError
from currents_core.hour import date_end
from currents_core.ports import ObjectStore, StoredObject, Version

log = logging.getLogger(__name__)

# For so long, in seconds, nothing of a day must have changed: what came last may have more come after it.
QUIET_SECONDS = 86_400.0
# For so long after its end, no day is compacted. Others take a day for compacted no sooner than half of that, so that
# their clocks may be wrong.
_AFTER = timedelta(days=1)
# Heads that are read before their turn.
_AHEAD = 16
# So much the pages of a day take on the disk while it is compacted, in times their size: all of those before, and the
# new one that is being written, two of whose columns are written to files of their own first.
_COPIES = 3


def days_by_the_hour(store: ObjectStore, layout: Layout, before: str) -> list[str]:
    """The days, oldest first, of which something is kept by the hour, and all of whose hours come before an hour."""
    keys = [*store.folders(layout.hours("slices")), *(each.key for _, each in listed_manifests(store, layout))]
    dates = {date for key in keys if (date := date_of(key))}
    return sorted(date for date in dates if f"{date}-23" < before)


@dataclass
class _Listed:
    """What is kept of a day by the hour: heads, and keys of pages, by the folders of their slices, and manifests.

    ``size`` is that of the pages, in bytes.
    """

    heads: dict[str, StoredObject] = field(default_factory=dict)
    pages: dict[str, list[str]] = field(default_factory=dict)
    manifests: dict[str, StoredObject] = field(default_factory=dict)
    size: int = 0


class _ChangedError(Exception):
    """Somebody changed the day meanwhile, or is at it."""


@dataclass
class Compaction:
    """Compacts days of which nothing has changed for ``quiet`` seconds, by the store's clock.

    ``token`` gives a name that was never used before.
    """

    store: ObjectStore
    layout: Layout
    crew: Crew = field(default_factory=Threads)
    token: Callable[[], str] = lambda: token_hex(6)
    quiet: float = QUIET_SECONDS

    def __post_init__(self) -> None:
        self._days = Days(self.store, self.layout, self.crew)

    def compact_next(self, before: str) -> str | None:
        """Compacts the oldest day that may be, all of whose hours come before an hour. Returns its date.

        A day for which the disk has no room, or of which something is damaged or lost, stands in the way of no later
        one. Raises TransientError if the store gave no clear answer.
        """
        for date in days_by_the_hour(self.store, self.layout, before):
            try:
                if date_end(date) + _AFTER <= self.crew.now() and self.compact(date):
                    return date
            except (NoRoomError, SetupError) as error:
                log.error("the state of %s can't be compacted: %s", date, error)
        return None

    def compact(self, date: str) -> bool:
        """Compacts a day, or what came after it was compacted. Returns False where that is left to a later run.

        So it is where something of the day has just changed, or is about to. Raises TransientError if the store gave no
        clear answer, NoRoomError if the disk has no room, and SetupError if something of the day is damaged or lost.
        """
        listed = self._listed(date)
        if listed is None:
            return False
        before, etag = self._days.version(date)
        void: set[str] = set()
        try:
            day = self._taken_in(listed, before, void)
            if day is not before:
                self._write(day, etag)
        except (_ChangedError, ConflictError):
            return False
        except PageMissingError:
            if self._is_unchanged(listed, date, etag):
                raise
            return False
        self._clear(day, listed, void)
        return True

    def _listed(self, date: str) -> _Listed | None:
        """What there is of a day; None if any of it is too young."""
        found = _Listed()
        slices = list(self.store.objects(self.layout.hours("slices", date)))
        found.manifests = dict(listed_manifests(self.store, self.layout, date))
        if any(each.age <= self.quiet for each in (*slices, *found.manifests.values())):
            return None
        for each in slices:
            folder = f"{each.key.rpartition('/')[0]}/"
            if is_head(each.key):
                found.heads[folder] = each
            else:
                found.pages.setdefault(folder, []).append(each.key)
                found.size += each.size
        return found

    def _taken_in(self, listed: _Listed, before: Day, void: set[str]) -> Day:
        """The day with all that is new, in pages that are written; ``before`` itself if nothing is.

        ``void`` gets the folders of heads that say nothing.
        """
        known = {self.layout.slice(place): each for place, each in before.slices.items()}
        new = {
            folder: each
            for folder, each in listed.heads.items()
            if folder not in known or known[folder].head != each.etag
        }
        if not new and all(_is_known(before, hour, each) for hour, each in listed.manifests.items()):
            return before
        folder = self.layout.day(before.date)
        known_size = sum(each.size for each in self.store.objects(folder)) if before.slices else 0
        require_room(_COPIES * (listed.size + known_size), f"s3://{self.store.bucket}/{folder}")
        with DayPages(self.store, self.layout, before) as pages:
            heads = self._heads(new)
            for folder in sorted(known.keys() | new.keys()):
                if folder in new and (taken := next(heads)):
                    pages.take(taken)
                    continue
                if folder in new:
                    void.add(folder)
                if folder in known:
                    pages.keep(known[folder].slice)
            self._take_manifests(pages, before, listed.manifests)
            return pages.upload(self.token(), self.token()) if pages.is_new else before

    def _heads(self, new: dict[str, StoredObject]) -> Iterator[Taken | None]:
        """The heads in the order of their folders; None for those that have not begun."""
        rest, reading = deque(new[folder] for folder in sorted(new)), deque[tuple[StoredObject, Job[Version | None]]]()
        while rest or reading:
            while rest and len(reading) < _AHEAD:
                each = rest.popleft()
                reading.append((each, self.crew.start(self.store.read_version, each.key)))
            listed, job = reading.popleft()
            yield self._taken(listed, job.result())

    def _taken(self, listed: StoredObject, stored: Version | None) -> Taken | None:
        if not stored or stored.etag.strip('"') != listed.etag:
            raise _ChangedError
        head = parse_head(stored.body, f"s3://{self.store.bucket}/{listed.key}")
        if head.owner is not None and stored.age <= LEASE_SECONDS:
            raise _ChangedError
        changed = self.crew.now() - timedelta(seconds=stored.age)
        whole = Pages(self.store, self.layout, head.slice).with_files(head)
        return Taken(whole, listed.etag, changed) if head.begun else None

    def _take_manifests(self, pages: DayPages, before: Day, listed: dict[str, StoredObject]) -> None:
        for hour in sorted(before.manifests.keys() | listed.keys()):
            if hour not in listed or _is_known(before, hour, listed[hour]):
                pages.keep_manifest(hour)
                continue
            stored = self.store.read_version(listed[hour].key)
            if not stored or stored.etag.strip('"') != listed[hour].etag:
                raise _ChangedError
            pages.take_manifest(hour, listed[hour].etag, stored.body)

    def _write(self, day: Day, replaces: str | None) -> None:
        """Replaces the index. Raises ConflictError if another compaction was first."""
        try:
            self.store.write_version(self.layout.day_index(day.date), day.as_bytes(), replaces)
        except TransientError:
            # It may have arrived all the same.
            if self._days.version(day.date)[0].nonce != day.nonce:
                raise

    def _is_unchanged(self, listed: _Listed, date: str, etag: str | None) -> bool:
        """Whether a page is missing though nobody replaced what names it."""
        heads = listed.heads.values()
        return self._days.version(date)[1] == etag and all(
            self.store.has_version(each.key, each.etag) for each in heads
        )

    def _clear(self, day: Day, listed: _Listed, void: set[str]) -> None:
        """Removes what the day has taken in, and what nothing names."""
        folder = self.layout.day(day.date)
        for each in list(self.store.objects(folder)):
            seq = claim_of_page(each.key)
            # Pages of later versions are about to be named.
            if seq is not None and seq <= day.seq and each.key.removeprefix(folder) not in day.names:
                self.store.delete(each.key)
        known = {self.layout.slice(place): each.head for place, each in day.slices.items()}
        manifests = [each for hour, each in listed.manifests.items() if _is_known(day, hour, each)]
        folders = [
            each
            for each in sorted(listed.heads.keys() | listed.pages.keys())
            if each not in listed.heads or each in void or known.get(each) == listed.heads[each].etag
        ]
        start = self.crew.start
        jobs = [start(self._remove, each, ()) for each in manifests]
        jobs += [start(self._remove, listed.heads.get(each), listed.pages.get(each, ())) for each in folders]
        for job in jobs:
            job.result()

    def _remove(self, version: StoredObject | None, pages: Iterable[str]) -> None:
        """Removes an object in the version that was listed, and then pages; none of it if it was replaced.

        Pages without a head are left over: no task writes a page before it has the slice.
        """
        with suppress(ConflictError):
            if version:
                self.store.delete_version(version.key, version.etag)
            for key in pages:
                self.store.delete(key)


def _is_known(day: Day, hour: str, listed: StoredObject) -> bool:
    return hour in day.manifests and day.manifests[hour].etag == listed.etag
