"""The hour manifest: the reconciled account of an hour, for people and programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson

from currents_core.books.account import Account
from currents_core.books.layout import Layout
from currents_core.books.ledger import HourAccount, Ledger
from currents_core.file_key import SourceFile
from currents_core.hour import hour_end
from currents_core.ports import ObjectStore

_NOT_TRIED = "not delivered; see the log of its `deliver` task"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What became of an hour: what was delivered, and the reason for each file that is still open, by key."""

    connector: str
    hour: str
    delivered: HourAccount
    open_files: dict[str, str]

    @property
    def account(self) -> Account:
        """The account of the rows of all delivered files."""
        return self.delivered.account

    @property
    def complete(self) -> bool:
        """Whether every file found is delivered, with every row accounted for."""
        return not self.open_files and self.account.totals.balanced

    def as_json(self, now: datetime) -> dict[str, object]:
        """The manifest as it is stored: the account, in total and per event type, warnings, and the files."""
        return {
            "connector": self.connector,
            "hour": self.hour,
            "complete": self.complete,
            **self.account.as_json(),
            "warnings": [f"personal data: {rule} found nothing; check its names" for rule in self.account.idle_rules],
            "files": {
                "delivered": self.delivered.files,
                "open": self.open_files,
                "changed_after_delivery": self.delivered.changed,
            },
            "written_at": now.isoformat(timespec="seconds"),
        }


def reconcile(connector: str, hour: str, planned: Iterable[SourceFile], ledger: Ledger) -> Manifest:
    """The manifest of an hour: the ledger's account, compared with the planned files and those that failed before."""
    done = ledger.done(hour)
    failed = ledger.failed(hour)
    tried = {file.id: file.key for file in planned if file.hour == hour} | {
        i: each["key"] for i, each in failed.items()
    }
    open_files = {
        key: failed[file_id]["reason"] if file_id in failed else f"{key}: {_NOT_TRIED}"
        for file_id, key in tried.items()
        if file_id not in done
    }
    return Manifest(connector, hour, ledger.account(hour), open_files)


class Manifests:
    """The manifests of one connector, one object per hour."""

    def __init__(self, store: ObjectStore, layout: Layout) -> None:
        self._store = store
        self._layout = layout

    def key(self, hour: str) -> str:
        """The key of the manifest of an hour."""
        return self._layout.manifest(hour)

    def write(self, manifest: Manifest, now: datetime, *, announce: bool = False) -> bool:
        """Writes the manifest over the previous one of the hour.

        Returns whether to announce the hour as complete: ``announce`` allows it, the hour is over and complete, and it
        was not announced before with the same content.
        """
        key, told = self.key(manifest.hour), manifest.as_json(now)
        before = orjson.loads(self._store.read(key) or b"{}")
        was_announced = before.get("announced", False) and _content(before) == _content(told)
        is_whole = manifest.complete and hour_end(manifest.hour) <= now
        told["announced"] = was_announced or (announce and is_whole)
        self._store.write(key, orjson.dumps(told, option=orjson.OPT_INDENT_2))
        return bool(told["announced"] and not was_announced)


def _content(manifest: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in manifest.items() if name not in {"written_at", "announced"}}
