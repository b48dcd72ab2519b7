"""What has to be true at the end: of the events, of the books, and of what is left behind."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from currents_aws.s3 import S3Objects
from currents_core.books.account import Counts
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.manifest import Manifests
from tests.chaos.outcome import Outcome
from tests.chaos.stage import BUCKET, CLASSIC, CUSTOM, Stage


@dataclass
class Arrived:
    """What arrived: of each connector the ids, with the number of the last entry that was accepted, and of each repeat
    the numbers of the entry before it and its own.

    A repeat is an event that a consumer sees twice although the sender knew of the first: what a custom bus had before
    reaches nobody, and where a connection was cut nobody can know.
    """

    ids: dict[str, dict[str, int]] = field(default_factory=lambda: {CLASSIC: {}, CUSTOM: {}})
    repeats: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {CLASSIC: [], CUSTOM: []})
    _unsure: set[str] = field(default_factory=set)

    def add(self, number: int, line: dict[str, Any]) -> None:
        """Takes in the accepted entry of a number, as local AWS tells it."""
        # Only custom buses have such codes.
        code = line.get("success_code")
        if code == "DEDUPLICATED":
            return
        connector = CUSTOM if code else CLASSIC
        event = orjson.loads(line["entry"]["Detail"])["id"]
        known = self.ids[connector]
        if event in known and event not in self._unsure:
            self.repeats[connector].append((known[event], number))
        known[event] = number
        if line.get("cut") or line.get("slow"):
            self._unsure.add(event)


def arrived(lines: Iterable[dict[str, Any]]) -> Arrived:
    """What the accepted entries tell, in their order."""
    found = Arrived()
    for number, line in enumerate(lines):
        found.add(number, line)
    return found


def of_repeats(found: Arrived, outcomes: Sequence[Outcome]) -> list[str]:
    """Adds each repeat to the fault that struck next after the event was accepted, and tells of what none explains.

    What a task that is killed had not saved yet goes again whenever its next try gets there, be it after other faults.
    """
    played = [outcome for outcome in outcomes if not outcome.skipped]
    struck = [outcome.accepted for outcome in played]
    complaints = []
    for connector, numbers in found.repeats.items():
        places = Counter((bisect_right(struck, before), bisect_right(struck, again)) for before, again in numbers)
        for (place, then), count in sorted(places.items()):
            after = f"after {played[then - 1].name}" if then else "before all faults"
            if place == len(played):
                complaints.append(f"{connector}: {count:,} events repeated after the last fault")
                continue
            struck_next = played[place]
            struck_next.repeats += count
            struck_next.again.append(f"{connector}: {count:,} {after}")
            if connector == CUSTOM and not struck_next.fault.outlasts:
                complaints.append(f"{connector}: consumers saw {count:,} events twice, by the fault {struck_next.name}")
    return complaints


def of_events(found: Arrived, expected: set[str]) -> Iterator[str]:
    """What is wrong with the events."""
    for connector, ids in found.ids.items():
        if missing := len(expected - ids.keys()):
            yield f"{connector}: {missing:,} events never arrived"
        if foreign := len(ids.keys() - expected):
            yield f"{connector}: {foreign:,} events arrived that no file has"


def of_books(stage: Stage, connector: str) -> Iterator[str]:
    """What is wrong with the books of a connector."""
    store, layout = S3Objects(stage.aws.client("s3"), BUCKET), Layout(f"state/{connector}/")
    ledger, manifests, sent = Ledger(store, layout), Manifests(store, layout), 0
    for hour in stage.hours:
        where = f"{connector} {hour}"
        manifest = manifests.read(hour)
        if not manifest:
            yield f"{where}: no manifest"
            continue
        totals = Counts(**manifest["totals"])
        sent += totals.sent
        if not totals.balanced:
            yield f"{where}: the books don't balance: {totals}"
        if not manifest["complete"]:
            yield f"{where}: not complete: {manifest['files']['open']}"
        yield from (f"{where}: a slice still belongs to {head.owner}" for head in ledger.heads(hour) if head.owner)
    if sent != len(stage.ids):
        yield f"{connector}: {sent:,} events are in the books as sent, the files have {len(stage.ids):,}"


def of_leftovers(disks: Iterable[Path], orphans: Sequence[str]) -> Iterator[str]:
    """What was left on disks, and processes whose parents are gone."""
    for disk in disks:
        for path in disk.rglob("*"):
            # A Celery worker that is killed leaves a folder of Python's multiprocessing, which nothing is in.
            if not path.name.startswith("pymp-") or any(path.iterdir()):
                yield f"left: {path}"
    for orphan in orphans:
        yield f"an orphan runs: {orphan}"
