"""The index of a connector: what its runs judged, only so that later runs need not look again.

It proves nothing that the heads don't say. Whatever it does not name is looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from currents_core.books.format import FORMAT, parsed
from currents_core.books.layout import Layout
from currents_core.errors import TransientError
from currents_core.file_key import Slice
from currents_core.hour import hours_back
from currents_core.ports import ObjectStore, Version

# How often the index is replaced before the fault is told. Many runs may be at it at once.
_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Index:
    """What is known of the hours of a window.

    ``stream`` says whose books these are: from where to where. ``first`` is the first hour that a scheduled run was
    for, empty if there was none. ``begun`` are the hours that a scheduled run began, and ``accounted`` those whose
    manifest was written, with the `seq` of the last one. ``settled`` has the fingerprint of the listing of each slice
    of which every listed file is done, and ``open`` the other slices of accounted hours. ``told`` are marks of what
    people were alerted of, each of which begins with an hour.
    """

    stream: str = ""
    first: str = ""
    begun: frozenset[str] = frozenset()
    accounted: Mapping[str, int] = field(default_factory=dict)
    settled: Mapping[Slice, str] = field(default_factory=dict)
    open: frozenset[Slice] = frozenset()
    told: frozenset[str] = frozenset()

    @property
    def newest(self) -> str:
        """The newest hour that a scheduled run began, or else that any run accounted for; empty if there is none."""
        return max(self.begun or self.accounted, default="")

    def looks_at(self, hour: str) -> bool:
        """Whether a past hour belongs to the window.

        Hours before the first scheduled run count as backfill: unless somebody exported them, nobody asked for them.
        """
        return hour in self.accounted or (bool(self.first) and hour >= self.first)

    def missed(self, hours: Iterable[str]) -> list[str]:
        """Those of ``hours`` that should have had a scheduled run, and had none."""
        return [each for each in hours if self.first and each >= self.first and not self._is_known(each)]

    def with_begun(self, hours: Collection[str]) -> Index:
        """The index once scheduled runs began these hours, or found that they had no run of their own."""
        first = min((*hours, *filter(None, [self.first])))
        return replace(self, first=first, begun=self.begun | {*hours})

    def with_accounted(
        self, written: Mapping[str, int], settled: Mapping[Slice, str], opened: Iterable[Slice]
    ) -> Index:
        """The index once the manifests of some hours are ``written``: their slices that are settled, and that are open.

        ``written`` has the `seq` of each manifest. What was noted of a newer one stays.
        """
        noted = {hour: seq for hour, seq in written.items() if seq >= self.accounted.get(hour, 0)}
        left = {place for place in opened if place.hour in noted}
        kept = {place: told for place, told in self.settled.items() if place not in left}
        before = {place for place in self.open if place.hour not in noted}
        return replace(
            self,
            accounted={**self.accounted, **noted},
            settled={**kept, **{place: told for place, told in settled.items() if place.hour in noted}},
            open=frozenset(before | left),
        )

    def with_told(self, marks: Iterable[str], since: str) -> Index:
        """The index once people were alerted of these; marks of hours before ``since`` are left out.

        The last one of its kind stays: what it tells of may go on.
        """
        every = sorted(self.told.union(marks))
        last = {each.partition(" ")[2]: each for each in every}
        return replace(self, told=frozenset(each for each in every if each >= since).union(last.values()))

    def since(self, hour: str) -> Index:
        """The index without the hours before ``hour``."""
        return replace(
            self,
            begun=frozenset(each for each in self.begun if each >= hour),
            accounted={each: seq for each, seq in self.accounted.items() if each >= hour},
            settled={place: told for place, told in self.settled.items() if place.hour >= hour},
            open=frozenset(place for place in self.open if place.hour >= hour),
        )

    def incomplete(self, before: str) -> list[str]:
        """The known hours before ``before`` that are not complete, oldest first."""
        begun = {each for each in self.begun if each not in self.accounted}
        return sorted(each for each in {place.hour for place in self.open} | begun if each < before)

    def as_bytes(self) -> bytes:
        """The index as it is stored."""
        by_type: dict[str | None, dict[str, str]] = defaultdict(dict)
        for place, told in sorted(self.settled.items(), key=lambda each: each[0].hour):
            by_type[place.event_type][place.hour] = told
        return orjson.dumps(
            {
                "format": FORMAT,
                "stream": self.stream,
                "first": self.first,
                "begun": sorted(self.begun),
                "accounted": dict(sorted(self.accounted.items())),
                "settled": sorted(by_type.items(), key=lambda each: each[0] or ""),
                "open": sorted(([*place] for place in self.open), key=str),
                "told": sorted(self.told),
            }
        )

    def _is_known(self, hour: str) -> bool:
        return hour in self.begun or hour in self.accounted


class IndexObject:
    """The index of one connector in its state."""

    def __init__(self, store: ObjectStore, layout: Layout) -> None:
        self._store = store
        self._key = layout.index()
        # What was read last, so that a change need not read it again.
        self._read: Version | None = None

    @property
    def uri(self) -> str:
        """Its place, for messages."""
        return f"s3://{self._store.bucket}/{self._key}"

    def read(self) -> Index | None:
        """The index; None before the first run. Raises SetupError if it is damaged, or of a newer version."""
        self._read = self._store.read_version(self._key)
        return self._parsed(self._read.body) if self._read else None

    def change(self, step: Callable[[Index], Index]) -> Index:
        """Replaces the index by what ``step`` makes of it, and returns that. ``step`` may be called several times.

        Raises TransientError if others were always first, or the store gave no answer.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._changed(step)
            except TransientError:
                # Another run was first, or no answer came: look again.
                continue
        return self._changed(step)

    def _changed(self, step: Callable[[Index], Index]) -> Index:
        stored, self._read = self._read or self._store.read_version(self._key), None
        before = self._parsed(stored.body) if stored else Index()
        after = step(before)
        if not stored or after != before:
            self._store.write_version(self._key, after.as_bytes(), stored.etag if stored else None)
        return after

    def _parsed(self, body: bytes) -> Index:
        return parsed(body, self.uri, _index)


def window_start(hour: str, lookback_hours: int) -> str:
    """The first hour of the window of a run for ``hour``."""
    return hours_back(hour, lookback_hours)[0] if lookback_hours else hour


def _index(raw: Any) -> Index:
    settled = {Slice(hour, kind): told for kind, hours in raw["settled"] for hour, told in hours.items()}
    accounted = raw["accounted"]
    return Index(
        raw["stream"],
        raw["first"],
        frozenset(raw["begun"]),
        # Earlier versions noted the hours alone.
        accounted if isinstance(accounted, dict) else dict.fromkeys(accounted, 0),
        settled,
        frozenset(Slice(*each) for each in raw["open"]),
        # Earlier versions told of nothing.
        frozenset(raw.get("told", ())),
    )
