"""One history: what a seed makes of a few source objects, several processes, and faults of every kind."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from random import Random
from typing import Any

from currents_core.books.layout import is_day_index
from currents_core.errors import DeliveryError
from currents_core.file_key import Slice, SourceFile
from tests.simulation.actors import Actor, Kind, Settings, World
from tests.simulation.books import ViolationError, require
from tests.simulation.destination import Destination, DestinationFaults
from tests.simulation.ending import check_end, check_small, has_damaged_files
from tests.simulation.files import CLICK, HOUR, IDS, OPEN
from tests.simulation.installed import installed
from tests.simulation.odds import Odds, Summary, destination_faults, store_faults
from tests.simulation.oracle import Oracle
from tests.simulation.scheduler import Process, Scheduler
from tests.simulation.source import Source
from tests.simulation.store import Bucket, StoreFaults

_MOST_STEPS = 20_000
# One seed in so many has a destination that is watched.
WATCHED = 4
# Looks tell of no shorter time, in seconds.
_PENDING = (60.0, 61.0, 100.0, 300.0)
_STALLS = (0.0, 4.0, 20.0, 61.0, 90.0)
_EXPORT: list[Kind] = ["export"]
_REDRIVE: list[Kind] = ["redrive"]
_KINDS: list[Kind] = [*_EXPORT * 5, *_REDRIVE * 3, "dry run", "reconcile", "reconcile", "compact", "compact", "compact"]
_ENDINGS: list[list[Kind]] = [["retire"], ["retire", "retire"], ["reconcile", "retire"]]
_COMPACTED: list[Kind] = ["export", "compact"]
_END: list[Kind] = ["export", "redrive", "export", "redrive", "compact", "export", "redrive", "reconcile", "compact"]


class History:
    """Plays the history of one seed."""

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        self.random = random = Random(seed)
        self.summary = Summary(seed)
        self.scheduler = scheduler = Scheduler(random, random.choice((0.002, 0.01, 0.04)))
        scheduler.trace = [] if trace else None
        self.odds = Odds.drawn(random)
        source, state = Bucket(scheduler, "braze"), Bucket(scheduler, "state")
        self.oracle = Oracle(state.objects.contents, lambda: scheduler.clock)
        state.landed = self._landed
        self.world = World(scheduler, source, state, Destination(scheduler, self.oracle), self.oracle)
        self.types = [OPEN, CLICK][: random.choice((1, 1, 2))]
        self.settings = Settings()
        self.source = Source(random, source, self.oracle, self.types)
        self.plans: list[dict[Slice, list[SourceFile]]] = []
        self.active: list[Actor] = []
        self.has_faults = True
        self.left, self.most = random.randint(2, 6), random.choice((2, 2, 3))
        state.faults, source.faults = store_faults(random)
        self.world.destination.faults = destination_faults(random)
        # Decided by the seed's number, so that the others draw what they drew before there were such destinations.
        self.world.destination.is_watched = seed % WATCHED == 0

    def play(self) -> Summary:
        """Plays it to its end."""
        summary = self.summary
        try:
            if self.odds.is_compacted:
                self._begin_compacted()
            self._middle()
            self._end()
        except ViolationError as error:
            summary.violation = str(error)
        except Exception as error:  # noqa: BLE001 - of the simulation or of the core: both must be seen
            summary.violation = f"{type(error).__name__}: {error}"
            self.scheduler.tell(traceback.format_exc())
        for actor in self.active:
            self.scheduler.kill(actor.process)
        summary.seconds, summary.steps = self.scheduler.clock, self.scheduler.steps
        summary.trace = self.scheduler.trace or ()
        summary.accepted = self.oracle.accepted_ids.total()
        summary.repeats = summary.accepted - len(self.oracle.accepted_ids)
        return summary

    def _landed(self, process: Process, key: str) -> None:
        self.oracle.landed(process, key)
        if self.odds.stall and self.has_faults:
            # The worst moments: a claim or another swap was made, or a day written, and its process does not know.
            is_claim = self.oracle.claimed.get(key) == self.scheduler.clock
            fate = self.random.random()
            if fate < 0.3 and (is_claim or is_day_index(key)):
                self._stall(process, 61.0, 400)
            elif fate < 0.05:
                self._stall(process, self.random.choice(_STALLS))

    def _begin_compacted(self) -> None:
        """Has some files delivered, and their day compacted, before anything goes wrong."""
        state = self.world.state
        faults, state.faults = state.faults, StoreFaults()
        for kind in _COMPACTED:
            work = self._work(kind)
            self.plans.append(work)
            self._act(kind, work, max_events=self.random.randint(1, 30) if kind == "export" else None)
            self._run_out()
        state.faults = faults

    # Faults on.

    def _middle(self) -> None:
        for _ in range(self.random.choice((300, 800, 1500))):
            self._reap()
            if (
                len(self.active) < self.most
                and self.left
                and (not self.active or self.random.random() < self.odds.start)
            ):
                self._start()
            self._disturb()
            if not self._step() and not self.left:
                return

    def _step(self) -> bool:
        is_alive = self.scheduler.step()
        if self.oracle.violation:
            raise self.oracle.violation
        return is_alive

    def _reap(self) -> None:
        self.active = [actor for actor in self.active if not actor.has_ended]

    def _start(self) -> None:
        self.left -= 1
        random = self.random
        kind: Kind = random.choice(_KINDS)
        if kind == "compact" and random.random() < 0.3:
            # Two runs at the same time.
            self._act(kind, {})
        work = self._work(kind)
        if kind == "export":
            # A task that is cleared has the plan of then.
            self.plans.append(work)
            work = random.choice((work, work, earlier := random.choice(self.plans), _both(earlier, work)))
        self._act(
            kind,
            work,
            skew=random.choice((0.0, 0.0, -300.0, 300.0)),
            max_events=random.choice((None, None, None, random.randint(1, 12))),
            rate=random.choice((None, None, 20.0)),
            chunk=random.randint(1, 5),
            beat=random.choice((0.1, 1.0)),
            slowness=random.choice((0, 40)) if kind in {"dry run", "reconcile", "compact"} else 0,
            letters=random.choice((None, tuple(random.sample(IDS, 6)))),
        )

    def _act(self, kind: Kind, work: Mapping[Slice, list[SourceFile]], **more: Any) -> Actor:
        self.summary.processes += 1
        actor = Actor(self.world, kind, self.settings, work, HOUR, **more)
        self.scheduler.tell(f"{actor.process.name} begins: {self.settings} {more}")
        self.active.append(actor)
        return actor

    def _work(self, kind: Kind) -> dict[Slice, list[SourceFile]]:
        """What a run would find: the wanted files that are there; a redrive, every file that a head knows."""
        if kind == "redrive":
            return {
                books.head.slice: [each.file for each in books.states.values()] for books in self.oracle.books.values()
            }
        work: dict[Slice, list[SourceFile]] = {
            Slice(HOUR, each): [] for each in self.types if each not in self.settings.excluded
        }
        for file in self.source.listed():
            if file.slice in work:
                work[file.slice].append(file)
        return work

    def _disturb(self) -> None:
        random, odds, summary = self.random, self.odds, self.summary
        fate = random.random()
        state = self.world.state
        if self.active and fate < odds.kill:
            actor = self.active.pop(int(random.random() * len(self.active)))
            self.scheduler.tell(f"{actor.process.name} is killed")
            self.scheduler.kill(actor.process)
            summary.kills += 1
        elif self.active and fate < odds.kill + odds.stall:
            self._stall(random.choice(self.active).process, random.choice(_STALLS))
        elif self.active and fate < odds.kill + odds.stall + odds.stop:
            actor = random.choice(self.active)
            self.scheduler.tell(f"{actor.process.name} is told to stop")
            actor.stop()
            summary.stops += 1
        elif fate > 1 - odds.change:
            self._change()
        elif state.limbo and fate > 0.97:
            state.land_late(int(random.random() * len(state.limbo)))

    def _stall(self, process: Process, seconds: float, most_steps: int = 200) -> None:
        process.stalled_steps = self.random.randint(5, most_steps)
        self.scheduler.clock += seconds
        self.scheduler.tell(f"{process.name} stalls")
        self.summary.stalls += 1

    def _change(self) -> None:
        random, world = self.random, self.world
        if world.destination.is_watched and world.destination.is_active and random.random() < 0.4:
            world.destination.deactivate(random.choice(_PENDING))
            return
        what = random.choice(("source", "source", "source", "settings", "fix", "down"))
        if what == "source":
            self.source.change()
        elif what == "settings":
            excluded = random.choice(((), (), (random.choice(self.types),)))
            self.settings = Settings(random.random() < 0.5, excluded)
            self.scheduler.tell(f"{self.settings}")
        elif what == "fix":
            world.destination.faults.refused.clear()
        else:
            world.state.is_down = not world.state.is_down
            self.scheduler.tell(f"the state's store is down: {world.state.is_down}")

    # Faults off.

    def _end(self) -> None:
        self.scheduler.tell("no more faults")
        self.has_faults = False
        world, random = self.world, self.random
        world.state.faults, world.source.faults, world.state.is_down = StoreFaults(), StoreFaults(), False
        never = world.destination.faults.never
        world.destination.faults = DestinationFaults(never=never)
        while world.state.limbo:
            world.state.land_late(int(random.random() * len(world.state.limbo)))
        for actor in self.active:
            actor.process.stalled_steps = 0
        self._run_out()
        self.scheduler.clock += 200
        # Not before: nobody can notice that a destination was away for less than a minute.
        world.destination.activate()
        if random.random() < 0.7:
            self.source.mend()
        for kind in _END:
            actor = self._act(kind, self._work(kind))
            self._run_out()
            is_damaged = has_damaged_files(self.source)
            allowed = isinstance(actor.error, DeliveryError) and (is_damaged or kind == "redrive")
            require(allowed or actor.error is None, f"undisturbed, {actor.process.name} fails: {actor.error!r}")
        check_end(self.oracle, self.source, self.settings)
        check_small(world.state.objects.contents)
        self._end_by_retention()

    def _end_by_retention(self) -> None:
        """Ends the day, by runs that meet, fail and are killed, while others read it."""
        random, state = self.random, self.world.state
        self.oracle.has_ended = True
        state.faults, _ = store_faults(random)
        for kind in random.choice(_ENDINGS):
            self._act(kind, self._work("export"))
        for _ in range(random.randint(0, 150)):
            self._step()
        if self.active and random.random() < 0.5:
            self.scheduler.kill(self.active.pop().process)
        self._run_out()
        state.faults = StoreFaults()
        while state.limbo:
            state.land_late(0)
        # A reconcile may have written a manifest of the day that was gone by then.
        self._act("retire", {})
        self._run_out()
        require(not state.objects.contents, f"of a day that has ended there is {sorted(state.objects.contents)}")

    def _run_out(self) -> None:
        most = self.scheduler.steps + _MOST_STEPS
        while self.active:
            is_alive = self._step()
            self._reap()
            require(is_alive or not self.active, f"stuck: {[actor.process.name for actor in self.active]}")
            require(self.scheduler.steps < most, f"no end: {[actor.process.name for actor in self.active]}")


def play(seed: int, *, trace: bool = False) -> Summary:
    """Plays the history of a seed."""
    history = History(seed, trace=trace)
    with installed(seed, history.scheduler, history.oracle):
        return history.play()


def _both(
    earlier: Mapping[Slice, list[SourceFile]], now: Mapping[Slice, list[SourceFile]]
) -> dict[Slice, list[SourceFile]]:
    """Two plans in one: a plan may name two versions of an object."""
    return {place: list(dict.fromkeys((*earlier.get(place, ()), *files))) for place, files in now.items()}
