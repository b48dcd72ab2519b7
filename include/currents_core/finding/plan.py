"""The plan of a run: its shards, kept in the state so that no list of files goes through Airflow's database."""

from __future__ import annotations

import hashlib

import orjson

from currents_core.books.layout import Layout
from currents_core.errors import SetupError
from currents_core.finding.shard import Shard
from currents_core.ports import ObjectStore


class Plans:
    """The planned shards of one connector, one object each.

    The name of an object is derived from its content, so planning a run again gives the same shards the same names.
    """

    def __init__(self, store: ObjectStore, layout: Layout) -> None:
        self._store = store
        self._layout = layout

    def write(self, shard: Shard) -> str:
        """Stores a shard, and returns its key for ``read``."""
        body = orjson.dumps(shard.as_json())
        key = self._layout.plan(shard.hour, hashlib.sha256(body).hexdigest()[:32])
        self._store.write(key, body)
        return key

    def read(self, key: str) -> Shard:
        """The shard that ``write`` stored under ``key``. Raises SetupError if it is gone."""
        body = self._store.read(key)
        if body is None:
            uri = f"s3://{self._store.bucket}/{key}"
            raise SetupError("the plan is gone; clear the run's `discover` task to plan again", uri=uri)
        return Shard.from_json(orjson.loads(body))
