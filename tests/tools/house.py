"""A source, a state and a destination in memory, for tests of deliveries."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import md5
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from currents_aws.memory import MemoryObjects, MemoryTarget
from currents_core.books.account import Counts
from currents_core.books.dead_letter import DeadLetters
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.seen_ids import DeliveredIds
from currents_core.delivering.deliver import Delivery
from currents_core.entry import Span
from currents_core.file_key import SourceFile
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


class House:
    """A source, a state and a destination in memory, and deliveries between them."""

    def __init__(self, target: MemoryTarget | None = None, **settings: Any) -> None:
        self.source, self.state = MemoryObjects("braze"), MemoryObjects("state")
        self.target = target or MemoryTarget()
        self.connector = connector(**settings)
        self.ledger = Ledger(self.state, Layout())
        self.dead_letters = DeadLetters(self.state, Layout())
        self.delivered_ids = DeliveredIds(self.state, Layout())
        self.personal_data = PersonalData(())
        self.now = NOW

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
        return self.running.deliver(files).totals

    def delivery(self, **changes: Any) -> Delivery:
        parts: dict[str, Any] = {
            "connector": self.connector,
            "source": self.source,
            "target": self.target,
            "pacer": Pacer(None, None),
            "ledger": self.ledger,
            "dead_letters": self.dead_letters,
            "delivered_ids": self.delivered_ids,
            "personal_data": self.personal_data,
            "backoff": Backoff(attempts=2, base=0.001),
            "clock": lambda: self.now,
            "sleep": self.sleep,
        }
        return Delivery(**parts | changes)

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def ids(self) -> Counter[str]:
        return Counter(json.loads(entry.detail)["id"] for entry in self.target.accepted)


def table(ids: list[str | None], **columns: Any) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.string()), "time": range(len(ids)), **columns})


class FileObjects(MemoryObjects):
    """A bucket whose files lie in a folder, by the last part of their keys, so that they take no memory."""

    def __init__(self, bucket: str, folder: Path) -> None:
        super().__init__(bucket)
        self._folder = folder

    def download(self, key: str, etag: str, into: IO[bytes]) -> None:
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
