"""The state of the first format, which earlier versions of this project wrote. It is read, and never changed.

    <root>ledger/date=<hour>/leases/<file id>.json      which task had the file, and which of its rows were settled
    <root>ledger/date=<hour>/done/<file id>.json        the file is delivered; the account of its rows, and of redrives
    <root>ledger/date=<hour>/failed/<file id>.json      the file can't be read; the reason
    <root>ids/date=<hour>/event_type=<type>/<file id>   fingerprints of the ids that the file brought
    <root>dead_letters/date=<hour>/<file id>.jsonl.gz   the records of the file that could not be sent

It counts for a slice whose head has not begun. Whoever claims such a slice first takes it over. The swap that follows
names all of it: so it is taken over whole, or not yet. The rows that a lease calls settled were sent, filtered, or
duplicates; which of these, only the file can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from currents_core.books.account import Account, total
from currents_core.books.earlier_pages import with_pages
from currents_core.books.head import FileState, Head
from currents_core.books.layout import Layout
from currents_core.books.pages import NewPage, Pages
from currents_core.books.row_set import RowSet
from currents_core.crew import Crew
from currents_core.errors import SetupError
from currents_core.file_key import Slice, SourceFile
from currents_core.ports import ObjectStore, Version

# For so long, in seconds, an hour that was read is not read again: a shard has many slices of one hour. It is not
# longer because a task of an earlier version may still be at it.
_FRESH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Record:
    """A record of the old ledger.

    ``account`` is that of a file that is done, with what redrives changed, and ``reason`` says why one failed. A lease
    has the rows that were settled, and the ``owner`` that has the file for so many ``seconds`` more, if any are left;
    ``etag`` is that of the record.
    """

    file: SourceFile
    account: Account | None
    reason: str
    settled: RowSet
    owner: str
    seconds: float
    etag: str


@dataclass(frozen=True, slots=True)
class _Hour:
    """What is known of an hour: the heads of its slices, who has it until when, and the last sign of life of that task.

    Both times are of the crew's clock.
    """

    heads: Mapping[Slice, Head]
    fresh_until: float = 0.0
    holder: str = ""
    held_until: float = 0.0
    sign: str = ""


class Earlier:
    """The state of the first format below one root."""

    def __init__(self, store: ObjectStore, layout: Layout, crew: Crew) -> None:
        self._store = store
        self._layout = layout
        self._crew = crew
        self._lock = crew.lock()
        self._hours: dict[str, _Hour] = {}
        self._is_there: bool | None = None

    def heads(self, hour: str) -> Mapping[Slice, Head]:
        """The heads with which claims of the slices of an hour begin, without ids.

        Their letters lie where they always did.
        """
        return self._hour(hour).heads

    def holder(self, hour: str) -> tuple[str, float, str] | None:
        """Which task of an earlier version is at files of an hour, for how many seconds more, and its sign of life.

        Such a task knows no slices: it may begin with any other file of the hour at any time. So it has them all.
        """
        found = self._hour(hour)
        left = found.held_until - self._crew.seconds()
        return (found.holder, left, found.sign) if found.holder and left > 0 else None

    def taken_over(self, place: Slice, pages: Pages, new_page: NewPage) -> Head:
        """The head with which a claim of a slice begins; its letters and ids are in pages that nothing names yet.

        It is a head without files if no earlier version was at the slice.
        """
        head = self.heads(place.hour).get(place)
        if head is None:
            return Head(place)
        return with_pages(head, self._store, self._layout, pages, crew=self._crew, new_page=new_page)

    def _hour(self, hour: str) -> _Hour:
        with self._lock:
            if self._is_there is None:
                self._is_there = any(True for _ in self._store.objects(self._layout.earlier("ledger")))
            if not self._is_there:
                return _Hour({})
            now = self._crew.seconds()
            self._hours = {name: each for name, each in self._hours.items() if now < each.fresh_until}
            if hour not in self._hours:
                self._hours[hour] = self._read(hour)
            return self._hours[hour]

    def _read(self, hour: str) -> _Hour:
        began = self._crew.seconds()
        done, failed, leases = self._records(hour)
        letters = self._letters(hour) if done else {}
        states = [_done(record, letters.get(record.file.id)) for record in done]
        states += _left(leases, failed)
        holder = max(leases, key=lambda lease: lease.seconds, default=None)
        if holder is None or holder.seconds <= 0:
            return _Hour(_heads(states), fresh_until=began + _FRESH_SECONDS)
        # What it did in the meantime is only known once the hour is read again.
        until = self._crew.seconds() + holder.seconds
        return _Hour(_heads(states), min(began + _FRESH_SECONDS, until), holder.owner, until, holder.etag)

    def _records(self, hour: str) -> tuple[list[_Record], list[_Record], list[_Record]]:
        """The records of files that are done, and of other files that failed, and that a task had."""
        folder = self._layout.earlier("ledger", hour)
        keys: dict[str, dict[str, str]] = {"done": {}, "failed": {}, "leases": {}}
        for each in self._store.objects(folder):
            kind, _, name = each.key.removeprefix(folder).partition("/")
            if kind in keys:
                keys[kind][_file_id(name)] = each.key
        jobs = {
            kind: [
                (key, self._crew.start(self._store.read_version, key))
                for file_id, key in by_id.items()
                if kind == "done" or file_id not in keys["done"]
            ]
            for kind, by_id in keys.items()
        }
        # A record may vanish between listing and reading, such as that of a failed file just delivered.
        found = {
            kind: [self._record(key, stored) for key, job in each if (stored := job.result())]
            for kind, each in jobs.items()
        }
        return found["done"], found["failed"], found["leases"]

    def _letters(self, hour: str) -> Mapping[str, str]:
        """The objects with letters of an hour, by file id, as names of pages."""
        keys = [each.key for each in self._store.objects(self._layout.earlier("dead_letters", hour))]
        return {_file_id(key.rpartition("/")[2]): key.removeprefix(self._layout.root) for key in keys}

    def _record(self, key: str, stored: Version) -> _Record:
        try:
            return _parsed(stored)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SetupError(
                f"this state is damaged ({type(error).__name__}); restore an earlier version of the object",
                uri=f"s3://{self._store.bucket}/{key}",
            ) from error


def _file_id(name: str) -> str:
    return name.partition(".")[0]


def _parsed(stored: Version) -> _Record:
    raw = orjson.loads(stored.body)
    file = SourceFile(**raw["file"])
    account = None
    if "account" in raw:
        account = total(Account.from_json(each) for each in (raw["account"], *raw.get("redrives", {}).values()))
    settled, owner, seconds = RowSet(), "", 0.0
    if "lease" in raw:
        settled, owner = RowSet(raw["acknowledged"]["ranges"]), raw["lease"]["owner"]
        # Both times are of its task's clock. How long ago that was, the store knows.
        lasts = datetime.fromisoformat(raw["lease"]["expires_at"]) - datetime.fromisoformat(raw["at"])
        seconds = lasts.total_seconds() - stored.age
    return _Record(file, account, raw.get("failed", {}).get("reason", ""), settled, owner, seconds, stored.etag)


def _done(record: _Record, letters: str | None) -> FileState:
    """The state of a file that is done. Which of its rows went is not known any more, but that all are settled."""
    assert record.account is not None, "the record of a file that is done has an account"
    settled = RowSet([(0, record.account.totals.read)])
    names = (letters,) if letters else ()
    return FileState(record.file, 0, "done", account=record.account, letters=names, settled_before=settled)


def _left(leases: Iterable[_Record], failed: Iterable[_Record]) -> list[FileState]:
    """The states of files that are not done."""
    states = {each.file.id: FileState(each.file, 0, settled_before=each.settled) for each in leases}
    for each in failed:
        state = states.get(each.file.id, FileState(each.file, 0))
        states[each.file.id] = replace(state, fate="failed", reason=each.reason)
    return list(states.values())


def _heads(states: Iterable[FileState]) -> dict[Slice, Head]:
    """The heads of slices with these files, which get their numbers."""
    found: dict[Slice, dict[str, FileState]] = {}
    for state in sorted(states, key=lambda state: (state.file.key, state.file.etag)):
        files = found.setdefault(state.file.slice, {})
        files[state.file.id] = replace(state, number=len(files))
    return {place: Head(place, files=files) for place, files in found.items()}
