"""The ledger: which files of a connector are delivered, with the account of each, kept per hour.

    <folder>date=<hour>/done/<file id>.json      delivered; the account of its rows
    <folder>date=<hour>/failed/<file id>.json    can't be read; why

The names alone tell which files are done, so that a listing answers for a thousand files at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime

import orjson

from include.currents.account import Account, total
from include.currents.file_key import SourceFile
from include.currents.ports import ObjectStore

_PARALLEL_READS = 16


class Ledger:
    """The ledger of one connector, below ``folder`` of a store."""

    def __init__(self, store: ObjectStore, folder: str) -> None:
        self._store = store
        self._folder = folder

    def done(self, hour: str) -> set[str]:
        """The ids of the files of an hour that are delivered."""
        return {_id(each.key) for each in self._store.objects(self._below(hour, "done"))}

    def failed(self, hour: str) -> dict[str, dict[str, str]]:
        """The files of an hour that can't be read, by id: their key and the reason."""
        return {_id(key): orjson.loads(body)["failed"] for key, body in self._records(hour, "failed")}

    def account(self, hour: str) -> tuple[int, Account]:
        """How many files of an hour are delivered, and the account of all their rows."""
        accounts = [Account.from_json(orjson.loads(body)["account"]) for _, body in self._records(hour, "done")]
        return len(accounts), total(accounts)

    def settle(self, file: SourceFile, account: Account, now: datetime) -> None:
        """Records that every row of a file is accounted for."""
        self._write(file, "done", {"account": account.as_json()}, now)
        self._store.delete(self._key(file, "failed"))

    def fail(self, file: SourceFile, reason: str, now: datetime) -> None:
        """Records that a file can't be read. It stays open: its hour's next run tries it again."""
        self._write(file, "failed", {"failed": {"key": file.key, "reason": reason}}, now)

    def _write(self, file: SourceFile, state: str, content: dict[str, object], now: datetime) -> None:
        record = {"file": asdict(file), "at": now.isoformat(timespec="seconds"), **content}
        self._store.write(self._key(file, state), orjson.dumps(record))

    def _records(self, hour: str, state: str) -> list[tuple[str, bytes]]:
        keys = [each.key for each in self._store.objects(self._below(hour, state))]
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            bodies = pool.map(self._store.read, keys)
            # A record may go between the listing and the reading: a failed file that was just delivered.
            return [(key, body) for key, body in zip(keys, bodies, strict=True) if body is not None]

    def _below(self, hour: str, state: str) -> str:
        return f"{self._folder}date={hour}/{state}/"

    def _key(self, file: SourceFile, state: str) -> str:
        return f"{self._below(file.hour, state)}{file.id}.json"


def _id(key: str) -> str:
    return key.rsplit("/", 1)[-1].removesuffix(".json")
