"""Manifests as runs write them, and what is in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from currents_core.books.account import Account, Counts
from currents_core.books.ledger import Ledger
from currents_core.books.manifest import reconcile
from currents_core.books.manifests import Manifests
from currents_core.file_key import SourceFile

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = "2026-11-23-08"


def file(name: str, hour: str = HOUR) -> SourceFile:
    """A file of an hour."""
    return SourceFile("b", f"event_type=a/date={hour}/{name}", "e", 1)


def account(event_type: str, read: int, sent: int) -> Account:
    """The account of a file of one event type, with a note."""
    return Account({event_type: Counts(read=read, sent=sent)}, Counter(kept=1))


def write_manifest(
    manifests: Manifests,
    hour: str,
    ledger: Ledger,
    now: datetime,
    *,
    planned: Iterable[SourceFile] = (),
    connector: str = "test",
    **asked: Any,
) -> bool:
    """Writes the manifest of an hour, from what its heads say. ``asked`` is what ``Manifests.write`` takes as well."""
    files = list(planned)
    draft = manifests.draft(hour, lambda _: reconcile(connector, hour, files, ledger))
    return manifests.write(draft, now, **asked)
