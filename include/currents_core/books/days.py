"""The compacted days of a connector, as whoever asks for one of their hours reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from tempfile import TemporaryFile
from typing import TypeVar

from currents_core.books.day import Day, DaySlice, parse_day
from currents_core.books.day_reader import DayReader
from currents_core.books.head import INLINE_IDS, Head
from currents_core.books.id_pages import IdPage, sorted_ids
from currents_core.books.id_streams import Source, mask_of, merged, write_page
from currents_core.books.layout import Layout
from currents_core.books.pages import NewPage, PageMissingError, Pages, with_small_states
from currents_core.crew import Crew, Threads
from currents_core.file_key import Slice
from currents_core.hour import date_end, date_of_hour
from currents_core.ports import ObjectStore

Found = TypeVar("Found")
# For so long after its end, no day is compacted whatever a worker's clock says: what is live costs no look at its day.
_YOUNG = timedelta(hours=12)


class Days:
    """The compacted days below one root."""

    def __init__(self, store: ObjectStore, layout: Layout, crew: Crew | None = None) -> None:
        self._store = store
        self._layout = layout
        self._crew = crew or Threads()
        self._lock = self._crew.lock()
        # The pages of ids of the day that was asked for last: a redrive takes over many slices of one day.
        self._mapped: dict[str, IdPage] = {}

    def version(self, date: str) -> tuple[Day, str | None]:
        """The index of a day and its ETag; an empty index, and None, if the day is not compacted."""
        if self._crew.now() < date_end(date) + _YOUNG:
            return Day(date), None
        key = self._layout.day_index(date)
        stored = self._store.read_version(key)
        if not stored:
            return Day(date), None
        return parse_day(stored.body, f"s3://{self._store.bucket}/{key}"), stored.etag

    def heads(self, hour: str) -> Mapping[Slice, Head]:
        """The heads with which claims of the slices of an hour begin, without ids. Letters lie in pages of the day."""
        return self.look(date_of_hour(hour), lambda day: self._of(day).heads(hour))

    def head(self, place: Slice) -> Head | None:
        """The head of one slice as ``heads`` gives it."""
        return self.look(date_of_hour(place.hour), lambda day: self._of(day).head(place))

    def manifest(self, hour: str) -> bytes | None:
        """The manifest of an hour, if its day has it."""
        return self.look(date_of_hour(hour), lambda day: self._of(day).manifest(hour))

    def taken_over(self, place: Slice, pages: Pages, new_page: NewPage) -> Head | None:
        """The head with which a claim of a slice begins, in pages that nothing names yet; None if its day has none.

        Only whoever has claimed the slice may ask, as then nobody changes what its day says of it.
        """
        return self.look(date_of_hour(place.hour), lambda day: self._taken_over(day, place, pages, new_page))

    def look(self, date: str, look: Callable[[Day], Found]) -> Found:
        """What ``look`` finds in a day, which is empty if it is not compacted.

        It is asked anew where it raises PageMissingError, as the day gets other pages meanwhile.
        """
        seq = -1
        while True:
            day, _ = self.version(date)
            try:
                return look(day)
            except PageMissingError:
                if day.seq == seq:
                    raise
                seq = day.seq

    def _of(self, day: Day) -> DayReader:
        return DayReader(self._store, self._layout, day)

    def _taken_over(self, day: Day, place: Slice, pages: Pages, new_page: NewPage) -> Head | None:
        head, found = self._of(day).head(place), day.slices.get(place)
        if not head or not found:
            return None
        with_letters = [state for state in head.files.values() if state.letters]
        if with_letters:
            name = new_page("letters")
            pages.copy(name, with_letters[0].letters[0])
            head = head.with_states(replace(state, letters=(name,)) for state in with_letters)
        return with_small_states(self._with_ids(head, day, found, pages, new_page), pages, new_page)

    def _with_ids(self, head: Head, day: Day, found: DaySlice, pages: Pages, new_page: NewPage) -> Head:
        bounds = (found.first, found.stop)
        parts = merged(
            [Source(page, mask_of(found.slice), -found.first, bounds) for page in self._id_pages(day, pages)]
            if found.ids
            else []
        )
        if found.ids <= INLINE_IDS:
            return replace(head, ids=sorted_ids(parts))
        name = new_page("ids")
        with TemporaryFile() as body:
            write_page(parts, body)
            pages.upload(name, body)
        return replace(head, id_pages=(name,))

    def _id_pages(self, day: Day, pages: Pages) -> list[IdPage]:
        names = [self._layout.day_page(day.date, name) for name in day.id_pages]
        with self._lock:
            self._mapped = {name: self._mapped.get(name) or pages.ids([name])[0] for name in names}
            return list(self._mapped.values())
