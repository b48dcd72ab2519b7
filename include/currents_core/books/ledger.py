"""The ledger: what became of every file of a connector, by hour.

The names of the objects alone tell which files are done, so one listing answers for a thousand files. Leases are
written with S3's conditional writes: a task can only replace the version that it read, so one that lost its lease can't
overwrite its successor's. A lease stays after the file is done, and then only says who delivered it.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from currents_core.books.account import Account, total
from currents_core.books.layout import Layout, State, file_id_of
from currents_core.books.row_set import RowSet
from currents_core.errors import ConflictError, FencedError, SetupError
from currents_core.file_key import SourceFile
from currents_core.ports import ObjectStore

# A task saves a checkpoint every second. One that has not done so for a minute is gone.
LEASE = timedelta(seconds=60)
_PARALLEL_READS = 16


@dataclass(slots=True)
class Lease:
    """The right to deliver a file, until ``expires_at``.

    ``rows`` are the acknowledged rows as of the last checkpoint. ``etag`` is the ETag of the lease's object.
    ``resumed`` says that another task had the file before.
    """

    file: SourceFile
    owner: str
    expires_at: datetime
    rows: RowSet
    etag: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class Held:
    """Another task, ``owner``, has the file ``until`` then, or longer if it renews its lease."""

    owner: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """The file is delivered."""


class Ledger:
    """The ledger of one connector. ``lease`` is how long a claim lasts. ``now`` is always an aware datetime."""

    def __init__(self, store: ObjectStore, layout: Layout, *, lease: timedelta = LEASE) -> None:
        self._store = store
        self._layout = layout
        self.lease = lease

    def done(self, hour: str) -> set[str]:
        """The ids of the delivered files of an hour."""
        return {file_id_of(each.key) for each in self._store.objects(self._layout.records(hour, "done"))}

    def failed(self, hour: str) -> dict[str, dict[str, str]]:
        """The files of an hour that can't be read, by id: their `key` and the `reason`."""
        return {file_id_of(key): orjson.loads(body)["failed"] for key, body in self._records(hour, "failed")}

    def account(self, hour: str) -> HourAccount:
        """What has been delivered of an hour, redrives included."""
        records = [orjson.loads(body) for _, body in self._records(hour, "done")]
        keys = Counter(str(record["file"]["key"]) for record in records)
        changed = sorted(key for key, versions in keys.items() if versions > 1)
        return HourAccount(len(records), total(each for record in records for each in _accounts(record)), changed)

    def file(self, hour: str, file_id: str) -> SourceFile | None:
        """The delivered file with this id; None if it is not delivered."""
        body = self._store.read(self._layout.record(hour, "done", file_id))
        return SourceFile(**orjson.loads(body)["file"]) if body else None

    def account_of(self, file: SourceFile) -> Account | None:
        """The account of a delivered file before any redrive; None if it is not delivered."""
        body = self._store.read(self._key(file, "done"))
        return Account.from_json(orjson.loads(body)["account"]) if body else None

    def acknowledged(self, file: SourceFile) -> RowSet:
        """The acknowledged rows of a file: those that need no more sending."""
        body = self._store.read(self._key(file, "leases"))
        return RowSet(orjson.loads(body)["acknowledged"]["ranges"] if body else ())

    def adjust(self, file: SourceFile, redrive: str, change: Account, now: datetime) -> None:
        """Records by how much a redrive changes the account of a delivered file. A redrive's last record counts.

        Raises SetupError if the file's record is gone, ConflictError if another writer changes it at the same time.
        """
        key = self._key(file, "done")
        stored = self._store.read_version(key)
        if stored is None:
            raise SetupError(
                "its record is gone from the ledger, so its redrive can't be counted; run its hour again", uri=file.uri
            )
        record = orjson.loads(stored[0])
        record.setdefault("redrives", {})[redrive] = change.as_json() | {"at": now.isoformat(timespec="seconds")}
        self._store.write_version(key, orjson.dumps(record), stored[1])

    def claim(self, file: SourceFile, owner: str, now: datetime) -> Lease | Held | Done:
        """Claims the file for ``owner`` if no task has it, or the lease of the one that had it has run out."""
        lease = Lease(file, owner, now + self.lease, RowSet(), "", resumed=False)
        try:
            lease.etag = self._store.write_version(self._key(file, "leases"), _lease_record(lease, now), None)
        except ConflictError:
            return self._claim_again(lease, now)
        return lease

    def _claim_again(self, lease: Lease, now: datetime) -> Lease | Held | Done:
        if self._store.read(self._key(lease.file, "done")) is not None:
            return Done()
        stored = self._store.read_version(self._key(lease.file, "leases"))
        if stored is None:
            return Held("unknown", now)
        record = orjson.loads(stored[0])
        until = datetime.fromisoformat(record["lease"]["expires_at"])
        if until > now:
            return Held(record["lease"]["owner"], until)
        lease.rows = RowSet(record["acknowledged"]["ranges"])
        lease.resumed = True
        try:
            key = self._key(lease.file, "leases")
            lease.etag = self._store.write_version(key, _lease_record(lease, now), stored[1])
        except ConflictError:
            return Held("another task", now + self.lease)
        return lease

    def checkpoint(self, lease: Lease, rows: RowSet, now: datetime, *, release: bool = False) -> None:
        """Records the acknowledged rows, and renews the lease or gives it back. Raises FencedError if it is lost."""
        renewed = replace(lease, rows=rows, expires_at=now if release else now + self.lease)
        record, key = _lease_record(renewed, now), self._key(lease.file, "leases")
        try:
            lease.etag = self._store.write_version(key, record, lease.etag)
        except ConflictError:
            stored = self._store.read_version(key)
            if stored is None or stored[0] != record:
                raise FencedError(
                    "another task took it over while this one was away and is delivering it now", uri=lease.file.uri
                ) from None
            # This task's own write had arrived; only the answer to it was lost.
            lease.etag = stored[1]
        lease.rows, lease.expires_at = renewed.rows, renewed.expires_at

    def settle(self, lease: Lease, account: Account, now: datetime) -> None:
        """Records a file as delivered, with its account. Raises FencedError if another task did so before."""
        file = lease.file
        record = _record(file, {"account": account.as_json(), "owner": lease.owner}, now)
        try:
            self._store.write_version(self._key(file, "done"), record, None)
        except ConflictError:
            if self._store.read(self._key(file, "done")) != record:
                raise FencedError("another task delivered it in the meantime", uri=file.uri) from None
        if lease.resumed:
            self._store.delete(self._key(file, "failed"))

    def fail(self, file: SourceFile, reason: str, now: datetime) -> None:
        """Records that a file can't be read. It stays open; the next run of its hour tries it again."""
        self._store.write(
            self._key(file, "failed"), _record(file, {"failed": {"key": file.key, "reason": reason}}, now)
        )

    def _records(self, hour: str, state: State) -> list[tuple[str, bytes]]:
        keys = [each.key for each in self._store.objects(self._layout.records(hour, state))]
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            bodies = pool.map(self._store.read, keys)
            # A record may vanish between listing and reading, such as that of a failed file just delivered.
            return [(key, body) for key, body in zip(keys, bodies, strict=True) if body is not None]

    def _key(self, file: SourceFile, state: State) -> str:
        return self._layout.record(file.hour, state, file.id)


@dataclass(frozen=True, slots=True)
class HourAccount:
    """What has been delivered of an hour.

    ``files`` is the number of files, ``account`` that of their rows, and ``changed`` has the keys of the objects of
    which several versions were delivered.
    """

    files: int
    account: Account
    changed: list[str]


def _accounts(record: dict[str, Any]) -> list[Account]:
    """The account of a file's delivery, and the changes by redrives."""
    return [Account.from_json(each) for each in (record["account"], *record.get("redrives", {}).values())]


def _record(file: SourceFile, content: dict[str, Any], now: datetime) -> bytes:
    return orjson.dumps({"file": asdict(file), "at": now.isoformat(timespec="milliseconds"), **content})


def _lease_record(lease: Lease, now: datetime) -> bytes:
    acknowledged = {"position": lease.rows.position, "rows": len(lease.rows), "ranges": lease.rows.ranges}
    held = {"owner": lease.owner, "expires_at": lease.expires_at.isoformat(timespec="milliseconds")}
    return _record(lease.file, {"lease": held, "acknowledged": acknowledged}, now)
