"""The manifests of a connector as they are stored: written by whoever read the one before, and announced once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from currents_core.books.days import Days
from currents_core.books.layout import Layout
from currents_core.books.manifest import Manifest
from currents_core.books.manifest_objects import listed_manifests, parse_manifest
from currents_core.books.run_record import RunPass, RunRecord
from currents_core.crew import Crew
from currents_core.errors import TransientError
from currents_core.hour import hour_end
from currents_core.ports import ObjectStore, Version

# How often a manifest is written before the fault is told.
_ATTEMPTS = 3
# Of so many runs a manifest says what they did.
_RUNS = 10
# What says nothing of what was delivered, or the same in other words.
_ASIDE = {"written_at", "announced", "seq", "slices", "dead_letters", "runs"}

# The version of a manifest, and what it says; None for both where there is none, and for the first in a compacted day.
Stored = tuple[Version | None, dict[str, Any] | None]
# Computes a manifest from the heads of its hour, and from the stored one.
Reconciled = Callable[[dict[str, Any] | None], Manifest]


class Draft:
    """The manifest of an hour before it is written, and the version that it replaces, which was read before its heads.

    Where another run was first, both are made anew: what was computed from older heads replaces nothing newer.
    """

    def __init__(self, read: Callable[[], Stored], reconciled: Reconciled) -> None:
        self._read = read
        self._reconciled = reconciled
        self.renew()

    @property
    def seq(self) -> int:
        """Its number among the manifests of the hour, from 1."""
        return int((self.before or {}).get("seq", 0)) + 1

    def renew(self) -> None:
        """Makes it from what is there now."""
        self.version, self.before = self._read()
        self.manifest = self._reconciled(self.before)


class Manifests:
    """The manifests of one connector: an object for each hour, until its day is compacted."""

    def __init__(self, store: ObjectStore, layout: Layout, crew: Crew | None = None) -> None:
        self._store = store
        self._layout = layout
        # The manifests that are to be announced, so that noting it need not read them again.
        self._written: dict[str, Version] = {}
        self._days = Days(store, layout, crew)

    def key(self, hour: str) -> str:
        """The key of the manifest of an hour."""
        return self._layout.manifest(hour)

    def read(self, hour: str) -> dict[str, Any] | None:
        """The manifest of an hour as ``Manifest.as_json`` gave it; None if it has none."""
        return self._stored(hour)[1]

    def first_hour(self, since: str) -> str:
        """The first hour from ``since`` on that has a manifest, or an empty text."""
        return next((hour for hour, _ in listed_manifests(self._store, self._layout, since=since)), "")

    def draft(self, hour: str, reconciled: Reconciled) -> Draft:
        """The manifest of an hour that ``reconciled`` computes; it is called anew where another run was first."""
        return Draft(partial(self._stored, hour), reconciled)

    def write(self, draft: Draft, now: datetime, *, announce: bool = False, run: RunPass | None = None) -> bool:
        """Replaces the manifest of the hour, and notes in it what a run did. ``draft`` has what was written.

        Returns whether to announce the hour as complete: ``announce`` allows it, the hour is over and complete and has
        files, and it was not announced before with the same content.
        """
        for attempt in range(_ATTEMPTS):
            manifest, before = draft.manifest, draft.before or {}
            told = manifest.as_json(now, before)
            if run:
                known = {each["run"]: each for each in before.get("runs", [])}
                own = known.pop(run.record.run, None)
                record = run.recorded(RunRecord(**own) if own else None)
                others = known.values()
                told["runs"] = [*others, asdict(record)][-_RUNS:]
            told["announced"] = _content(before) == _content(told) and before.get("announced", False)
            try:
                self._put(self.key(manifest.hour), told, draft.version)
                break
            except TransientError:
                # Another run was first, or no answer came.
                if attempt == _ATTEMPTS - 1:
                    raise
                draft.renew()
        is_whole = manifest.complete and manifest.delivered.files > 0 and hour_end(manifest.hour) <= now
        is_news = announce and is_whole and not told["announced"]
        if not is_news:
            del self._written[self.key(manifest.hour)]
        return is_news

    def announced(self, manifest: Manifest, now: datetime) -> None:
        """Notes that the hour was announced with this content, if it still has it. Else the next run announces it."""
        key = self.key(manifest.hour)
        for attempt in range(_ATTEMPTS):
            version = self._written.pop(key, None) or self._store.read_version(key)
            before = self._parsed(version, manifest.hour) or {}
            told = manifest.as_json(now, before)
            if _content(before) != _content(told):
                # More was delivered since, and is to be announced as well.
                return
            try:
                self._put(key, told | {"announced": True}, version)
                return
            except TransientError:
                if attempt == _ATTEMPTS - 1:
                    raise

    def _put(self, key: str, told: Mapping[str, object], replaced: Version | None) -> None:
        body = orjson.dumps(told, option=orjson.OPT_INDENT_2)
        etag = self._store.write_version(key, body, replaced.etag if replaced else None)
        self._written[key] = Version(body, etag, 0.0)

    def _stored(self, hour: str) -> Stored:
        version = self._store.read_version(self.key(hour))
        return version, self._parsed(version, hour)

    def _parsed(self, stored: Version | None, hour: str) -> dict[str, Any] | None:
        """The manifest that is stored, or else that of the compacted day."""
        body = stored.body if stored else self._days.manifest(hour)
        return parse_manifest(body, f"s3://{self._store.bucket}/{self.key(hour)}") if body else None


def _content(manifest: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in manifest.items() if name not in _ASIDE}
