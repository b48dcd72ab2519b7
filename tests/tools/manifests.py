"""Manifests as runs write them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from currents_core.books.ledger import Ledger
from currents_core.books.manifest import reconcile
from currents_core.books.manifests import Manifests
from currents_core.file_key import SourceFile


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
