"""Reads the books of a connector for the page."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from currents_airflow.clients import objects_at
from currents_airflow.page.grid import DAYS
from currents_core.books.index import Index, IndexObject
from currents_core.books.layout import Layout, member_of
from currents_core.books.overview import HourView
from currents_core.books.overviews import Overviews
from currents_core.hour import hours_back
from currents_core.setup.settings import Connector
from currents_core.showing.calendar import Looks

if TYPE_CHECKING:
    from currents_core.ports import ObjectStore


# A task that sends shows that it is alive more often.
_FRESH_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Sender:
    """A task that sends: its DAG, the id of its run, its own name, and how far it has got."""

    dag: str
    run: str
    name: str
    progress: str

    @classmethod
    def parsed(cls, shown: str) -> Sender:
        """What a task shows: a line with its DAG, its run and itself, and one about its progress."""
        owner, _, progress = shown.partition("\n")
        dag, run, *name = [*owner.split(" "), "", ""]
        return cls(dag, run, " ".join(name).strip(), progress)


@dataclass
class Books:
    """The books of a connector. Each question takes a few requests to S3, under the connection of its state."""

    connector: Connector

    @cached_property
    def store(self) -> ObjectStore:
        """The bucket of the state."""
        return objects_at(self.connector.state)

    @cached_property
    def layout(self) -> Layout:
        """The keys of the state."""
        return Layout(self.connector.state_root)

    def index(self) -> Index | None:
        """What runs judged; None before the first one."""
        return IndexObject(self.store, self.layout).read()

    def views(self, first: str, last: str) -> list[HourView]:
        """What is known of the hours from ``first`` to ``last``, both included: a request a week."""
        return list(self._between(first, last).values())

    def senders(self) -> list[Sender]:
        """The tasks that are sending: a listing, and a request each."""
        fresh = [each for each in self.store.objects(self.layout.budget) if each.age < _FRESH_SECONDS]
        found = (self.store.read(each.key) for each in fresh if member_of(each.key))
        return [Sender.parsed(body.decode("utf-8", "replace")) for body in found if body]

    def looks(self, first: str, last: str, delivering: set[str]) -> Looks:
        """What the hours from ``first`` to ``last``, both included, are judged by: a request a week, and one more."""
        # A month in any case: whether an hour is missing depends on what was known before it.
        views = self._between(min(first, hours_back(last, DAYS * 24 - 1)[0]), last)
        delay = timedelta(minutes=self.connector.schedule.delay_minutes)
        return Looks(views, self.index(), datetime.now(UTC), delay, delivering)

    def _between(self, first: str, last: str) -> dict[str, HourView]:
        with _no_collections():
            return Overviews(self.store, self.layout).between(first, last)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Has Python look for no garbage meanwhile.

    A month is half a million objects, for which it would look through all objects of the server again and again. That
    takes longer than all the rest.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # Of several at a time, it is the one that found it on.
        if was_on:
            gc.enable()
