"""Reads the slices and manifests of one version of a compacted day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import orjson

from currents_core.books.day import Day, DaySlice
from currents_core.books.head import FileState, Head
from currents_core.books.layout import Layout, PageKind
from currents_core.books.pages import Pages
from currents_core.books.sections import Section, section_name
from currents_core.file_key import Slice
from currents_core.ports import ObjectStore


class DayReader:
    """Reads what a day says. Its methods raise PageMissingError once another version has other pages."""

    def __init__(self, store: ObjectStore, layout: Layout, day: Day) -> None:
        self._store = store
        self._layout = layout
        self._day = day

    def heads(self, hour: str) -> dict[Slice, Head]:
        """The heads of an hour, whose states lie one after the other, so that one request gives them all."""
        of_hour = [each for place, each in self._day.slices.items() if place.hour == hour]
        told = [each.states for each in of_hour if each.states]
        states: dict[Slice, list[FileState]] = {each.slice: [] for each in of_hour}
        if told:
            start = min(each.start for each in told)
            lines = self._lines(hour, "files", Section(start, max(each.stop for each in told) - start))
            for state in map(FileState.from_json, map(orjson.loads, lines)):
                states[state.file.slice].append(state)
        return {each.slice: self._with_states(each, states[each.slice]) for each in of_hour}

    def head(self, place: Slice) -> Head | None:
        """The head of a slice; None if the day has none."""
        found = self._day.slices.get(place)
        if not found:
            return None
        lines = self._lines(place.hour, "files", found.states)
        return self._with_states(found, [FileState.from_json(orjson.loads(line)) for line in lines])

    def manifest(self, hour: str) -> bytes | None:
        """The manifest of an hour; None if the day has none."""
        told = self._day.manifests.get(hour)
        return b"".join(self._lines(hour, "manifests", told.section)) if told else None

    def _with_states(self, found: DaySlice, states: Sequence[FileState]) -> Head:
        """The head of a slice. The day only says which files have letters, since they lie in one place."""
        names: tuple[str, ...] = ()
        if found.letters:
            names = (section_name(self._layout.day_page(self._day.date, self._day.pages["letters"]), found.letters),)
        named = (replace(state, letters=names if state.letters else ()) for state in states)
        return Head(found.slice, files={state.file.id: state for state in named})

    def _lines(self, hour: str, kind: PageKind, section: Section | None) -> list[bytes]:
        if not section:
            return []
        page = self._layout.day_page(self._day.date, self._day.pages[kind])
        return list(Pages(self._store, self._layout, Slice(hour, None)).lines(section_name(page, section)))
