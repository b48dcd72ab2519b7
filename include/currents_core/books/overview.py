"""The overview of a week: each of its hours in short, for people who look at a month at a time.

It proves nothing: it repeats what manifests say, in few objects, and tells which version of each it has taken in.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self

import orjson

from currents_core.books.account import Counts
from currents_core.books.format import FORMAT, parsed
from currents_core.books.run_record import RunPass, RunRecord
from currents_core.errors import shown
from currents_core.hour import hour_end, parse_hour

# Of so many replays an hour says who asked for them.
_REPLAYS = 10
# Files may name more event types than anybody looks at. The rest are told of in sum.
_MOST_TYPES = 300
OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class TypeView:
    """One event type of an hour.

    The files of its slice: those ``delivered``, and of how many bytes; those ``open``, and how many of these
    ``failed``. ``counts`` are those of its rows, whatever slice they were in. ``lag`` is how long after the end of the
    hour its files were delivered, in seconds; None if none was, or nobody knows. ``codes`` counts dead letters.
    """

    delivered: int = 0
    open: int = 0
    failed: int = 0
    size: int = 0
    lag: float | None = None
    counts: Counts = field(default_factory=Counts)
    codes: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_heard(self) -> bool:
        """Whether Braze wrote anything: files that are not delivered yet have no counts."""
        return bool(self.delivered or self.open or self.counts.read)

    def __add__(self, other: TypeView) -> TypeView:
        lags = [each.lag for each in (self, other) if each.lag is not None]
        return TypeView(
            self.delivered + other.delivered,
            self.open + other.open,
            self.failed + other.failed,
            self.size + other.size,
            max(lags, default=None),
            self.counts + other.counts,
            Counter(self.codes) + Counter(other.codes),
        )


@dataclass(frozen=True, slots=True)
class HourView:
    """One hour: ``types`` by their names; the name is empty for what the files of a slice without a type are.

    ``seq`` is the version of the manifest that was taken in, ``etag`` the ETag of its object; both are empty if there
    was none. ``written`` is when it was written. ``drift`` counts the ways in which rows differ from what is
    documented, ``notes`` and ``runs`` are the manifest's. ``replays`` are the runs that sent the hour again.
    """

    hour: str
    seq: int = 0
    etag: str = ""
    written: str = ""
    complete: bool = False
    types: Mapping[str, TypeView] = field(default_factory=dict)
    drift: int = 0
    notes: Mapping[str, int] = field(default_factory=dict)
    runs: tuple[RunRecord, ...] = ()
    replays: tuple[RunRecord, ...] = ()

    @property
    def counts(self) -> Counts:
        """The rows of all event types."""
        return sum((each.counts for each in self.types.values()), Counts())

    @property
    def is_accounted(self) -> bool:
        """Whether a run has accounted for the hour; otherwise there is nothing but replays of it."""
        return bool(self.written)

    @property
    def was_over(self) -> bool:
        """Whether the hour was over when a run accounted for it; otherwise more may have come since."""
        return self.is_accounted and datetime.fromisoformat(self.written) >= hour_end(self.hour)

    @property
    def is_heard(self) -> bool:
        """Whether Braze wrote anything."""
        return any(each.is_heard for each in self.types.values())

    def delivered_by(self, event_type: str) -> RunRecord | None:
        """The run that delivered the last files of an event type; None where nobody knows."""
        view = self.types.get(event_type)
        if not view or view.lag is None:
            return None
        at = hour_end(self.hour) + timedelta(seconds=view.lag)
        return next((run for run in self.runs if datetime.fromisoformat(run.at) == at), None)

    def with_replay(self, run: RunPass) -> HourView:
        """The hour once it was sent again by a run. The same run counts once."""
        before = next((each for each in self.replays if each.run == run.record.run), None)
        others = tuple(each for each in self.replays if each is not before)
        return replace(self, replays=(*others, run.recorded(before))[-_REPLAYS:])

    def with_account(self, told: HourView) -> HourView:
        """The hour as a manifest ``told`` it, unless a later one was taken in.

        One that was removed and made anew counts its versions from the beginning.
        """
        if self.is_accounted and told.seq < self.seq and told.written <= self.written:
            return self
        return replace(told, replays=self.replays)

    @classmethod
    def of_manifest(cls, hour: str, manifest: Mapping[str, Any], etag: str) -> Self:
        """The hour as its manifest says: what ``Manifest.as_json`` gave; ``etag`` is that of its object."""
        return cls(
            hour,
            manifest.get("seq", 0),
            etag,
            datetime.fromisoformat(manifest["written_at"]).isoformat(),
            manifest["complete"],
            _types(hour, manifest),
            sum(map(len, manifest["drift"].values())),
            manifest["notes"],
            tuple(RunRecord(**each) for each in manifest.get("runs", ())),
        )

    def as_json(self) -> dict[str, Any]:
        """The hour as the week stores it."""
        return {
            "seq": self.seq,
            "etag": self.etag,
            "written": self.written,
            "complete": self.complete,
            "types": {
                name: [
                    [each.delivered, each.open, each.failed, each.size, each.lag],
                    astuple(each.counts),
                    each.codes,
                ]
                for name, each in self.types.items()
            },
            "drift": self.drift,
            "notes": self.notes,
            "runs": [astuple(each) for each in self.runs],
            "replays": [astuple(each) for each in self.replays],
        }

    @classmethod
    def from_json(cls, hour: str, raw: Mapping[str, Any]) -> Self:
        """The hour that ``as_json`` gave."""
        types = {name: _type_view(*each) for name, each in raw["types"].items()}
        runs, replays = (tuple(RunRecord(*each) for each in raw[name]) for name in ("runs", "replays"))
        return cls(hour, **{**raw, "types": types, "runs": runs, "replays": replays})


@dataclass(frozen=True, slots=True)
class Week:
    """The hours of a week that begins on the Monday ``date``, by their names; those of which anything is known."""

    date: str
    hours: Mapping[str, HourView] = field(default_factory=dict)

    def hour(self, hour: str) -> HourView:
        """One of its hours, with or without anything known of it."""
        return self.hours.get(hour, HourView(hour))

    def with_hours(self, hours: Iterable[HourView]) -> Week:
        """The week with other views of some hours."""
        return replace(self, hours={**self.hours, **{each.hour: each for each in hours}})

    def as_bytes(self) -> bytes:
        """The week as it is stored."""
        hours = {hour: each.as_json() for hour, each in sorted(self.hours.items())}
        return gzip.compress(orjson.dumps({"format": FORMAT, "week": self.date, "hours": hours}), 6, mtime=0)


def parse_week(body: bytes, uri: str) -> Week:
    """The week that ``as_bytes`` gave; ``uri`` is its place.

    Raises SetupError if a newer version of this project wrote it, or if it is damaged.
    """
    return parsed(body, uri, _week)


def week_of(hour: str) -> str:
    """The date of the Monday of the week of an hour. Raises SetupError if the hour is not valid."""
    day = parse_hour(hour)
    return f"{day - timedelta(days=day.weekday()):%Y-%m-%d}"


def _week(raw: Any) -> Week:
    return Week(raw["week"], {hour: HourView.from_json(hour, each) for hour, each in raw["hours"].items()})


def _type_view(files: Sequence[Any], counts: Sequence[int], codes: Mapping[str, int]) -> TypeView:
    delivered, opened, failed, size, lag = files
    return TypeView(delivered, opened, failed, size, lag, Counts(*counts), codes)


def _types(hour: str, manifest: Mapping[str, Any]) -> dict[str, TypeView]:
    """The event types of a manifest. Those of earlier versions say less of each of them."""
    slices, letters = manifest.get("slices", {}), manifest.get("dead_letters", {})
    found: dict[str, TypeView] = {}
    for name in sorted({*slices, *manifest["event_types"], *letters}):
        files = slices.get(name, {})
        view = TypeView(
            files.get("delivered", 0),
            files.get("open", 0),
            files.get("failed", 0),
            files.get("size", 0),
            _lag(hour, files["delivered_at"]) if files.get("delivered") else None,
            Counts(**manifest["event_types"].get(name, {})),
            letters.get(name, {}),
        )
        key = shown(name, 200)
        if key not in found and len(found) >= _MOST_TYPES:
            key = OTHERS
        found[key] = found[key] + view if key in found else view
    return found


def _lag(hour: str, delivered_at: str) -> float:
    return (datetime.fromisoformat(delivered_at) - hour_end(hour)).total_seconds()
