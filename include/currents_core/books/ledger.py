"""The ledger: what became of every file of a connector, kept per hour.

The names alone tell which files are done, so that a listing answers for a thousand files at once. A lease is written
with S3's conditional writes: whoever reads it can only replace the version that was read, so a task that lost its
lease can't write over its successor. It stays when the file is done, and then only says who did it.

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

# A task that checkpoints every second has lost touch for good when it missed a minute.
LEASE = timedelta(seconds=60)
_PARALLEL_READS = 16


@dataclass(slots=True)
class Lease:
    """The right to deliver a file. ``rows`` are those that were acknowledged; ``resumed`` says that somebody began."""

    file: SourceFile
    owner: str
    expires_at: datetime
    rows: RowSet
    etag: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class Held:
    """Another task has the file, until then unless it renews its lease."""

    owner: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """The file is delivered."""


class Ledger:
    """The ledger of one connector. ``lease`` is how long a claim lasts."""

    def __init__(self, store: ObjectStore, layout: Layout, *, lease: timedelta = LEASE) -> None:
        self._store = store
        self._layout = layout
        self.lease = lease

    def done(self, hour: str) -> set[str]:
        """The ids of the files of an hour that are delivered."""
        return {file_id_of(each.key) for each in self._store.objects(self._layout.records(hour, "done"))}

    def failed(self, hour: str) -> dict[str, dict[str, str]]:
        """The files of an hour that can't be read, by id: their key and the reason."""
        return {file_id_of(key): orjson.loads(body)["failed"] for key, body in self._records(hour, "failed")}

    def account(self, hour: str) -> HourAccount:
        """What was delivered of an hour."""
        records = [orjson.loads(body) for _, body in self._records(hour, "done")]
        keys = Counter(str(record["file"]["key"]) for record in records)
        changed = sorted(key for key, versions in keys.items() if versions > 1)
        return HourAccount(len(records), total(each for record in records for each in _accounts(record)), changed)

    def file(self, hour: str, file_id: str) -> SourceFile | None:
        """A file that is delivered, by its id; None where it is not."""
        body = self._store.read(self._layout.record(hour, "done", file_id))
        return SourceFile(**orjson.loads(body)["file"]) if body else None

    def account_of(self, file: SourceFile) -> Account | None:
        """What was delivered of a file, before any redrive; None where it is not done."""
        body = self._store.read(self._key(file, "done"))
        return Account.from_json(orjson.loads(body)["account"]) if body else None

    def acknowledged(self, file: SourceFile) -> RowSet:
        """The rows of a file that need no more sending."""
        body = self._store.read(self._key(file, "leases"))
        return RowSet(orjson.loads(body)["acknowledged"]["ranges"] if body else ())

    def adjust(self, file: SourceFile, redrive: str, change: Account, now: datetime) -> None:
        """Notes by how much a redrive changes the account of a file that is done; the last note of each counts.

        Raises ConflictError where something else writes there at the same time.
        """
        key = self._key(file, "done")
        found = self._store.read_version(key)
        if found is None:
            raise SetupError(
                "its record is gone from the ledger, so its redrive can't be counted; run its hour again", uri=file.uri
            )
        record = orjson.loads(found[0])
        record.setdefault("redrives", {})[redrive] = change.as_json() | {"at": now.isoformat(timespec="seconds")}
        self._store.write_version(key, orjson.dumps(record), found[1])

    def claim(self, file: SourceFile, owner: str, now: datetime) -> Lease | Held | Done:
        """Takes the file for ``owner``, if nobody has it, or whoever had it let its lease run out."""
        lease = Lease(file, owner, now + self.lease, RowSet(), "", resumed=False)
        try:
            lease.etag = self._store.write_version(self._key(file, "leases"), _lease_record(lease, now), None)
        except ConflictError:
            return self._claim_again(lease, now)
        return lease

    def _claim_again(self, lease: Lease, now: datetime) -> Lease | Held | Done:
        if self._store.read(self._key(lease.file, "done")) is not None:
            return Done()
        found = self._store.read_version(self._key(lease.file, "leases"))
        if found is None:
            return Held("unknown", now)
        record = orjson.loads(found[0])
        until = datetime.fromisoformat(record["lease"]["expires_at"])
        if until > now:
            return Held(record["lease"]["owner"], until)
        lease.rows = RowSet(record["acknowledged"]["ranges"])
        lease.resumed = True
        try:
            lease.etag = self._store.write_version(self._key(lease.file, "leases"), _lease_record(lease, now), found[1])
        except ConflictError:
            return Held("another task", now + self.lease)
        return lease

    def checkpoint(self, lease: Lease, rows: RowSet, now: datetime, *, release: bool = False) -> None:
        """Records the acknowledged rows and renews the lease, or gives it back. Raises FencedError where it is gone."""
        renewed = replace(lease, rows=rows, expires_at=now if release else now + self.lease)
        record, key = _lease_record(renewed, now), self._key(lease.file, "leases")
        try:
            lease.etag = self._store.write_version(key, record, lease.etag)
        except ConflictError:
            found = self._store.read_version(key)
            if found is None or found[0] != record:
                raise FencedError(
                    "another task took it over while this one was away and is delivering it now", uri=lease.file.uri
                ) from None
            # Our own write had arrived, and only its answer was lost.
            lease.etag = found[1]
        lease.rows, lease.expires_at = renewed.rows, renewed.expires_at

    def settle(self, lease: Lease, account: Account, now: datetime) -> None:
        """Records that every row of a file is accounted for. Raises FencedError where another task did before."""
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
        """Records that a file can't be read. It stays open: its hour's next run tries it again."""
        self._store.write(
            self._key(file, "failed"), _record(file, {"failed": {"key": file.key, "reason": reason}}, now)
        )

    def _records(self, hour: str, state: State) -> list[tuple[str, bytes]]:
        keys = [each.key for each in self._store.objects(self._layout.records(hour, state))]
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            bodies = pool.map(self._store.read, keys)
            # A record may go between the listing and the reading: a failed file that was just delivered.
            return [(key, body) for key, body in zip(keys, bodies, strict=True) if body is not None]

    def _key(self, file: SourceFile, state: State) -> str:
        return self._layout.record(file.hour, state, file.id)


@dataclass(frozen=True, slots=True)
class HourAccount:
    """What was delivered of an hour: files, the account of their rows, and keys of which several versions were."""

    files: int
    account: Account
    changed: list[str]


def _accounts(record: dict[str, Any]) -> list[Account]:
    """The account of a file's delivery, and what redrives changed."""
    return [Account.from_json(each) for each in (record["account"], *record.get("redrives", {}).values())]


def _record(file: SourceFile, content: dict[str, Any], now: datetime) -> bytes:
    return orjson.dumps({"file": asdict(file), "at": now.isoformat(timespec="milliseconds"), **content})


def _lease_record(lease: Lease, now: datetime) -> bytes:
    acknowledged = {"position": lease.rows.position, "rows": len(lease.rows), "ranges": lease.rows.ranges}
    held = {"owner": lease.owner, "expires_at": lease.expires_at.isoformat(timespec="milliseconds")}
    return _record(lease.file, {"lease": held, "acknowledged": acknowledged}, now)
