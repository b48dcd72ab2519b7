"""The compacted days of a connector, as whoever asks for one of their hours reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from tempfile import TemporaryFile
from typing import TypeVar

import orjson
import pyarrow as pa

from currents_core.books.day import Day, DaySlice, parse_day
from currents_core.books.head import INLINE_IDS, FileState, Head
from currents_core.books.id_pages import Fingerprints, IdPage, fingerprints, for_type, sorted_ids
from currents_core.books.id_search import places_in
from currents_core.books.id_streams import Source, mask_of, merged, write_page
from currents_core.books.layout import Layout, PageKind
from currents_core.books.pages import NewPage, PageMissingError, Pages, with_small_states
from currents_core.books.sections import Section, section_name
from currents_core.crew import Crew, Threads
from currents_core.file_key import Slice
from currents_core.hour import date_end, date_of_hour
from currents_core.ports import ObjectStore

Found = TypeVar("Found")
_ALL_HASHES = 1 << 64
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
        return self._look(hour, partial(self._heads, hour))

    def head(self, place: Slice) -> Head | None:
        """The head of one slice as ``heads`` gives it."""
        return self._look(place.hour, lambda day: self._head(day, place))

    def manifest(self, hour: str) -> bytes | None:
        """The manifest of an hour, if its day has it."""

        def found(day: Day) -> bytes | None:
            told = day.manifests.get(hour)
            return b"".join(self._lines(day, hour, "manifests", told.section)) if told else None

        return self._look(hour, found)

    def taken_over(self, place: Slice, pages: Pages, new_page: NewPage) -> Head | None:
        """The head with which a claim of a slice begins, in pages that nothing names yet; None if its day has none.

        Only whoever has claimed the slice may ask, as then nobody changes what its day says of it.
        """
        return self._look(place.hour, lambda day: self._taken_over(day, place, pages, new_page))

    def find(self, day: Day, text: str) -> list[tuple[Slice, int, int]]:
        """Where an id was accepted on a day: the slices, the numbers of the files within these, and the rows.

        It takes one request where the id is not found, and two more where it is.
        """
        plain = for_type(fingerprints(pa.array([text], pa.string()), ""), "")
        # Where no key names an event type, fingerprints are those of the types of the rows.
        types = {name for place, each in day.slices.items() if place.event_type is None for name in each.counts}
        wanted = [plain, *(for_type(plain, name) for name in sorted(types))]
        return [
            (place, number - each.first, row)
            for number, row in self._places(day, wanted)
            for place, each in day.slices.items()
            if each.first <= number < each.stop
        ]

    def _places(self, day: Day, wanted: Iterable[Fingerprints]) -> Iterator[tuple[int, int]]:
        pages = list(day.id_pages.items())
        width = _ALL_HASHES // max(1, len(pages))
        for prints in wanted if pages else ():
            at = int(prints[0, 0]) // width
            name, count = pages[at]
            key = f"{self._layout.day(day.date)}{name}"
            yield from places_in(partial(self._part, key), count, prints, (at * width, (at + 1) * width - 1))

    def _part(self, key: str, start: int, size: int) -> bytes:
        return self._store.read_part(key, start, size) or b""

    def _look(self, hour: str, look: Callable[[Day], Found]) -> Found:
        """What ``look`` finds in the day of an hour, which may get other pages meanwhile."""
        seq = -1
        while True:
            day, _ = self.version(date_of_hour(hour))
            try:
                return look(day)
            except PageMissingError:
                if day.seq == seq:
                    raise
                seq = day.seq

    def _heads(self, hour: str, day: Day) -> dict[Slice, Head]:
        """The heads of an hour, whose states lie one after the other, so that one request gives them all."""
        of_hour = [each for place, each in day.slices.items() if place.hour == hour]
        told = [each.states for each in of_hour if each.states]
        states: dict[Slice, list[FileState]] = {each.slice: [] for each in of_hour}
        if told:
            start = min(each.start for each in told)
            lines = self._lines(day, hour, "files", Section(start, max(each.stop for each in told) - start))
            for state in map(FileState.from_json, map(orjson.loads, lines)):
                states[state.file.slice].append(state)
        return {each.slice: self._with_states(day, each, states[each.slice]) for each in of_hour}

    def _head(self, day: Day, place: Slice) -> Head | None:
        found = day.slices.get(place)
        if not found:
            return None
        lines = self._lines(day, place.hour, "files", found.states)
        return self._with_states(day, found, [FileState.from_json(orjson.loads(line)) for line in lines])

    def _with_states(self, day: Day, found: DaySlice, states: Sequence[FileState]) -> Head:
        """The head of a slice. The day only says which files have letters, since they lie in one place."""
        names: tuple[str, ...] = ()
        if found.letters:
            names = (section_name(self._layout.day_page(day.date, day.pages["letters"]), found.letters),)
        named = (replace(state, letters=names if state.letters else ()) for state in states)
        return Head(found.slice, files={state.file.id: state for state in named})

    def _lines(self, day: Day, hour: str, kind: PageKind, section: Section | None) -> list[bytes]:
        if not section:
            return []
        page = self._layout.day_page(day.date, day.pages[kind])
        return list(Pages(self._store, self._layout, Slice(hour, None)).lines(section_name(page, section)))

    def _taken_over(self, day: Day, place: Slice, pages: Pages, new_page: NewPage) -> Head | None:
        head, found = self._head(day, place), day.slices.get(place)
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
