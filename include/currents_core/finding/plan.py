"""The plan of a run, kept in the state so that no list of files goes through Airflow's database.

Its tasks may run long after it was made: a run waits for approval, for its turn among others, or for a DAG that is
paused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from currents_core.books.layout import Layout
from currents_core.errors import SetupError
from currents_core.file_key import Slice, SourceFile
from currents_core.ports import ObjectStore

# For so long, in seconds, a plan is kept: longer than any run waits that somebody still cares about.
KEPT_SECONDS = 60 * 86_400.0


class Plans:
    """The planned shards of one connector, and the looks that they came from: one object each.

    The name of an object is derived from its content, so planning a run again gives the same shards the same names.
    """

    def __init__(self, store: ObjectStore, layout: Layout) -> None:
        self._store = store
        self._layout = layout

    def write(self, hour: str, content: Mapping[str, object]) -> str:
        """Stores what can be told in JSON, as of an hour, and returns its key for ``read``."""
        body = orjson.dumps(content)
        key = self._layout.plan(hour, hashlib.sha256(body).hexdigest()[:32])
        self._store.write(key, body)
        return key

    def read(self, key: str) -> Any:
        """What ``write`` stored under ``key``. Raises SetupError if it is gone, or if an earlier version stored it."""
        body = self._store.read(key) if key else None
        found = orjson.loads(body) if body else None
        if not isinstance(found, dict):
            uri = f"s3://{self._store.bucket}/{key}"
            what = "the plan is gone, or an earlier version of Currents Export made it"
            raise SetupError(f"{what}; clear the run's first task to plan again", uri=uri)
        return found

    def end_old(self) -> int:
        """Removes what was stored more than ``KEPT_SECONDS`` ago, by the store's clock. Returns how much that was."""
        old = [each.key for each in self._store.objects(self._layout.hours("plans")) if each.age > KEPT_SECONDS]
        for key in old:
            self._store.delete(key)
        return len(old)


def work_as_json(work: Mapping[Slice, Sequence[SourceFile]]) -> list[dict[str, object]]:
    """Slices and their files as a plan stores them."""
    return [{"slice": [*place], "files": [asdict(file) for file in files]} for place, files in work.items()]


def work_from_json(raw: Iterable[Mapping[str, Any]]) -> dict[Slice, tuple[SourceFile, ...]]:
    """The slices and files that ``work_as_json`` gave."""
    return {Slice(*each["slice"]): tuple(SourceFile(**file) for file in each["files"]) for each in raw}
