"""What has to be true at the end: of the events, of the books, and of what is left behind."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from currents_aws.s3 import S3Objects
from currents_core.books.account import Counts
from currents_core.books.head import Head
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.manifests import Manifests
from tests.chaos.outcome import Outcome
from tests.chaos.stage import BUCKET, CLASSIC, CUSTOM, Stage
from tests.tools.awaiting import wait_for
from tests.tools.cluster import Cluster, leftovers


class Repeat(NamedTuple):
    """The numbers of an accepted entry and of the one with the same event before it, and whether its sender may not
    have heard that that one was accepted."""

    before: int
    number: int
    is_unheard: bool


@dataclass
class Arrived:
    """What arrived: of each connector the ids, with the number of the last entry that was accepted, and the repeats.

    A repeat is an event that a consumer sees twice: what a custom bus had before reaches nobody. It is none where the
    connection to a classic bus was cut by plan, since no sender can know.
    """

    ids: dict[str, dict[str, int]] = field(default_factory=lambda: {CLASSIC: {}, CUSTOM: {}})
    repeats: dict[str, list[Repeat]] = field(default_factory=lambda: {CLASSIC: [], CUSTOM: []})
    unheard: Set[int] = frozenset()
    # By connector, as all have the same events.
    _unsure: set[tuple[str, str]] = field(default_factory=set)

    def add(self, number: int, line: dict[str, Any]) -> None:
        """Takes in the accepted entry of a number, as local AWS tells it."""
        # The buses have the names of the connectors.
        connector = line["bus"]
        event = orjson.loads(line["entry"]["Detail"])["id"]
        known = self.ids[connector]
        is_handed_on = line.get("success_code") != "DEDUPLICATED"
        if event in known and is_handed_on and (connector, event) not in self._unsure:
            before = known[event]
            self.repeats[connector].append(Repeat(before, number, before in self.unheard))
        known[event] = number
        self._unsure.discard((connector, event))
        # A custom bus hands on what is sent anew after a cut once: nothing about it is unsure.
        if connector == CLASSIC and (line.get("cut") or line.get("slow")):
            self._unsure.add((connector, event))


def arrived(lines: Iterable[dict[str, Any]], unheard: Set[int] = frozenset()) -> Arrived:
    """What the accepted entries tell, in their order; of the numbers of some, the senders may not have heard."""
    found = Arrived(unheard=unheard)
    for number, line in enumerate(lines):
        found.add(number, line)
    return found


def of_repeats(found: Arrived, outcomes: Sequence[Outcome]) -> list[str]:
    """Adds each repeat to the fault in whose time the event was accepted, and tells of what none explains.

    The time of a fault is from the end of the one before to its own end. What a task that is killed had not saved yet
    goes again whenever its next try gets there, be it after other faults. A task that is told to end waits some seconds
    for answers. What was not answered by then goes again, as it has to, and is counted apart, unless a custom bus must
    have known it still.
    """
    played = [outcome for outcome in outcomes if not outcome.skipped]
    ended = [outcome.accepted for outcome in played]
    complaints = []
    for connector, repeats in found.repeats.items():
        places = Counter(
            (bisect_right(ended, each.before), bisect_right(ended, each.number), each.is_unheard) for each in repeats
        )
        for (place, then, is_unheard), count in sorted(places.items()):
            if place == len(played):
                complaints.append(f"{connector}: {count:,} events repeated after the last fault")
                continue
            at = f"at {played[then].name}" if then < len(played) else "after the last fault"
            own = played[place]
            if is_unheard and own.fault.stops and (connector == CLASSIC or connector in own.late):
                own.unheard[connector] += count
                continue
            own.repeats[connector] += count
            own.again.append(f"{connector}: {count:,} {at}")
    return complaints


def of_events(found: Arrived, expected: set[str]) -> Iterator[str]:
    """What is wrong with the events."""
    for connector, ids in found.ids.items():
        if missing := len(expected - ids.keys()):
            yield f"{connector}: {missing:,} events never arrived"
        if foreign := len(ids.keys() - expected):
            yield f"{connector}: {foreign:,} events arrived that no file has"


def of_books(stage: Stage, connector: str, hours: Iterable[str]) -> Iterator[str]:
    """What is wrong with a connector's books of some hours."""
    store, layout = S3Objects(stage.aws.client("s3"), BUCKET), Layout(f"state/{connector}/")
    ledger, manifests = Ledger(store, layout), Manifests(store, layout)
    for hour in hours:
        wrong = of_hour(manifests.read(hour), ledger.heads(hour), stage.expected[hour])
        yield from (f"{connector} {hour}: {each}" for each in wrong)


def of_hour(manifest: dict[str, Any] | None, heads: Sequence[Head], expected: Counts) -> Iterator[str]:
    """What is wrong with the books of an hour."""
    yield from _of_manifest(manifest, expected)
    for head in heads:
        yield from _of_head(head)
    accounts = (state.account for head in heads for state in head.files.values())
    if (read := sum(account.totals.read for account in accounts if account)) != expected.read:
        yield f"the ledger has {read:,} rows, the files {expected.read:,}"


def _of_manifest(manifest: dict[str, Any] | None, expected: Counts) -> Iterator[str]:
    if not manifest:
        yield "no manifest"
        return
    if (totals := Counts(**manifest["totals"])) != expected:
        yield f"the books say {totals}, the files {expected}"
    if not manifest["complete"]:
        yield f"not complete: {manifest['files']['open']}"


def _of_head(head: Head) -> Iterator[str]:
    if head.owner:
        yield f"a slice still belongs to {head.owner}"
    for state in head.files.values():
        if not state.account or not state.account.totals.balanced:
            yield f"the books of {state.file.key} don't balance"


def of_scheduled(connector: str, runs: Sequence[dict[str, Any]], since: datetime) -> Iterator[str]:
    """What is wrong with a connector's scheduled runs: one has to have found what was put late, at ``since``."""
    began = [run["start_date"] for run in runs if run["state"] == "success"]
    if not any(datetime.fromisoformat(each) > since for each in began):
        yield f"{connector}: no scheduled run began after late files were put, and succeeded"


def of_health(cluster: Cluster) -> Iterator[str]:
    """The parts whose own health checks fail for so long that compose calls them unhealthy."""

    def is_healthy(name: str) -> bool:
        with suppress(AssertionError):
            return bool(wait_for(90, partial(cluster.check, name)))
        return False

    # At once, as compose asks them.
    with ThreadPoolExecutor(len(cluster.checks)) as pool:
        healthy = list(pool.map(is_healthy, cluster.checks))
    for name, well in zip(cluster.checks, healthy, strict=True):
        if not well:
            yield f"{name} is unhealthy"


def of_leftovers(disks: Iterable[Path], orphans: Sequence[str]) -> Iterator[str]:
    """What was left on disks, and processes whose parents are gone."""
    for disk in disks:
        yield from (f"left: {path}" for path in leftovers(disk))
    for orphan in orphans:
        yield f"an orphan runs: {orphan}"
