"""A source, a state and a destination in memory, for tests of deliveries."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import md5
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from currents_aws.memory import MemoryObjects, MemoryTarget
from currents_core.books.account import Account, Counts
from currents_core.books.claim import Claim
from currents_core.books.dead_letter import Letter, letters_of
from currents_core.books.head import Fate, FileState
from currents_core.books.id_pages import Ids
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.manifest import hour_account
from currents_core.books.row_set import RowSet
from currents_core.crew import Threads
from currents_core.delivering.deliver import Delivery
from currents_core.entry import Span
from currents_core.file_key import SourceFile, by_slice
from currents_core.finding.discover import with_letters
from currents_core.ports import SENT, Completion
from currents_core.sending.pacer import Pacer
from currents_core.sending.retry import Backoff
from currents_core.setup.settings import Connector
from currents_core.shaping.personal_data import PersonalData

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR = "2026-11-23-08"
PURCHASE = "users.behaviors.Purchase"
OPEN = "users.messages.email.Open"


def connector(**changes: Any) -> Connector:
    told = {
        "name": "test",
        "source": {"bucket": "braze", "prefix": "in"},
        "destination": {"kind": "event_bus", "name": "bus", "region": "us-east-1"},
        "state": {"bucket": "state"},
    }
    return Connector.model_validate(told | changes)


class Hands(Threads):
    """Threads whose sleep takes no time, but for the clocks: that of the store moves with them.

    ``meanwhile`` is what others do in each second or more that is slept.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slept = 0.0
        self.meanwhile: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        """Lets the clocks move on."""
        if seconds >= 1:
            self.slept += seconds
            self.meanwhile()
        else:
            super().sleep(seconds)

    def seconds(self) -> float:
        """Seconds, with those that were slept."""
        return super().seconds() + self.slept

    def now(self) -> datetime:
        """Always the same time, and what was slept."""
        return NOW + timedelta(seconds=self.slept)


class House:
    """A source, a state and a destination in memory, and deliveries between them."""

    def __init__(self, target: MemoryTarget | None = None, **settings: Any) -> None:
        self.source, self.state = MemoryObjects("braze"), MemoryObjects("state")
        self.target = target or MemoryTarget()
        self.connector = connector(**settings)
        self.crew = Hands()
        self.keep_state_in(self.state)
        self.personal_data = PersonalData(())

    def keep_state_in(self, state: MemoryObjects) -> None:
        """Has the state in another store, whose clock moves with that of the crew."""
        self.state = state
        state.clock = lambda: self.crew.slept
        self.ledger = Ledger(state, Layout(), crew=self.crew)

    def put(self, event_type: str | None, name: str, body: bytes | pa.Table, hour: str = HOUR) -> SourceFile:
        folder = f"event_type={event_type}/" if event_type else ""
        key = f"in/{folder}date={hour}/{name}"
        if isinstance(body, pa.Table):
            sink = BytesIO()
            pq.write_table(body, sink)
            body = sink.getvalue()
        self.source.write(key, body)
        return SourceFile("braze", key, self.source.etag(key), len(body))

    def deliver(self, *files: SourceFile) -> Counts:
        self.running = self.delivery()
        return self.running.deliver(by_slice(files)).totals

    def redrive(self, wants: Callable[[Letter], bool] = lambda _: True, hour: str = HOUR, **changes: Any) -> Counts:
        """Sends the wanted letters of an hour again."""
        self.running = self.delivery(wants_letter=wants, **changes)
        return self.running.deliver(with_letters(self.ledger, [hour], wants)[0]).totals

    def delivery(self, **changes: Any) -> Delivery:
        parts: dict[str, Any] = {
            "connector": self.connector,
            "source": self.source,
            "target": self.target,
            "pacer": Pacer(None, None),
            "ledger": self.ledger,
            "personal_data": self.personal_data,
            "backoff": Backoff(attempts=2, base=0.001, patience=0.0),
            "crew": self.crew,
        }
        return Delivery(**parts | changes)

    def states(self, hour: str = HOUR) -> dict[str, FileState]:
        """What became of each file of an hour, by its file id."""
        return {file_id: state for head in self.ledger.heads(hour) for file_id, state in head.files.items()}

    def done(self, hour: str = HOUR) -> set[str]:
        """The ids of the files of an hour that are done."""
        return {file_id for file_id, state in self.states(hour).items() if state.fate == "done"}

    def letters(self, *files: SourceFile) -> list[Letter]:
        """The letters of files, or of all files of the hour, in the order of their rows."""
        wanted = {file.id for file in files} or self.states().keys()
        found = [
            letter
            for head in self.ledger.heads(HOUR)
            for state, letter in letters_of(self.ledger.pages(head.slice), head.files.values())
            if state.file.id in wanted
        ]
        return sorted(found, key=lambda letter: (letter["origin"]["key"], letter["origin"]["row"]))

    def account(self, hour: str = HOUR) -> Account:
        """The account of an hour."""
        return hour_account(self.ledger.heads(hour)).account

    def ids(self) -> Counter[str]:
        return Counter(json.loads(entry.detail)["id"] for entry in self.target.accepted)


def settle(ledger: Ledger, file: SourceFile, account: Account, *, fate: Fate = "done", reason: str = "") -> None:
    """Has a file done with this account, or failed, as a task would."""
    claim = ledger.claim(file.slice, "a task")
    assert isinstance(claim, Claim)
    rows = RowSet([(0, account.totals.sent)])
    told = account if fate in {"done", "gone"} else None
    claim.swap([FileState(file, claim.head.next_number, fate, rows, told, reason)], release=True)


def finish(claim: Claim, states: Sequence[FileState] = (), ids: Sequence[Ids] = ()) -> None:
    """Gives a slice back as a delivery does that is through with it."""
    if not claim.finish(states, ids):
        claim.pages.remove(claim.tidy(claim.tidied()))
        claim.swap(release=True)


def table(ids: list[str | None], **columns: Any) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.string()), "time": range(len(ids)), **columns})


class FileObjects(MemoryObjects):
    """A bucket whose files lie in a folder, by the last part of their keys, so that they take no memory."""

    def __init__(self, bucket: str, folder: Path) -> None:
        super().__init__(bucket)
        self._folder = folder

    def download(self, key: str, etag: str | None, into: IO[bytes]) -> None:
        """Copies the file, whatever ``etag`` is."""
        with (self._folder / key.rpartition("/")[2]).open("rb") as body:
            shutil.copyfileobj(body, into)

    def etag(self, key: str) -> str:
        """An ETag that only depends on the key."""
        return md5(key.encode(), usedforsecurity=False).hexdigest()


class ForgetfulTarget(MemoryTarget):
    """A destination that accepts every entry, and keeps none."""

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        """Completes at once."""
        complete([SENT] * sum(map(len, chunk)))
