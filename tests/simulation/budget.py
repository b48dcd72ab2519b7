"""Tasks of one connector that share its budget: they begin, end, stall and die as a seed decides, with wrong clocks.

What runs is the core's own pacer, share and roll, over a state in S3 that is slow, fails, loses answers, and has writes
that arrive late.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from currents_core.books.layout import Layout
from currents_core.delivering.roll import Roll
from currents_core.delivering.share import Share
from currents_core.sending.pacer import Pacer
from tests.simulation.crew import SimulatedCrew
from tests.simulation.scheduler import Process, Scheduler, Step
from tests.simulation.store import Bucket, StoreFaults, View

# Requests per second, and the slots that divide them.
BUDGET, SLOTS = 500, 4
LAYOUT = Layout("state/demo/")


@dataclass(eq=False)
class Machine(Process):
    """A process that may stand still until some time, with all its threads."""

    still_until: float = 0.0


class World(Scheduler):
    """The tasks, their state, and when requests were sent."""

    def __init__(self, random: Random, faults: StoreFaults | None = None) -> None:
        super().__init__(random, tempo=2e-5)
        self.sent: list[float] = []
        self.state = Bucket(self, "state", faults or StoreFaults())
        # Times of S3 have whole seconds.
        self.state.objects.clock = lambda: float(int(self.clock))
        self.numbers = count()
        self.slow = 0.0

    def stall(self, machine: Machine, seconds: float) -> None:
        """Has a process stand still."""
        machine.still_until = self.clock + seconds
        self.after(seconds, None, lambda: None)

    def run(self, until: float) -> None:
        """Runs all up to a time."""
        is_over = False

        def end() -> None:
            nonlocal is_over
            is_over = True

        self.after(until - self.clock, None, end)
        while not is_over:
            self.step()

    def most(self) -> int:
        """The most requests that were sent within a second."""
        return max((bisect_left(self.sent, at + 1) - place for place, at in enumerate(self.sent)), default=0)

    def rate(self, since: float, until: float) -> float:
        """The requests per second between two times."""
        return (bisect_left(self.sent, until) - bisect_left(self.sent, since)) / (until - since)

    def _choose(self) -> Step | None:
        ready = self._ready
        free = [at for at, (owner, _) in enumerate(ready) if not self.is_still(owner)]
        if not free:
            return None
        place = free[int(self.random.random() * len(free))]
        ready[place], ready[-1] = ready[-1], ready[place]
        return ready.pop()

    def is_still(self, process: Process | None) -> bool:
        """Whether a process stands still."""
        return isinstance(process, Machine) and process.still_until > self.clock


class Far(View):
    """The state as a task reaches it over a network; ``requests`` counts its calls."""

    def __init__(self, world: World, process: Process, crew: SimulatedCrew) -> None:
        super().__init__(world.state, process)
        self.requests = 0
        self._world = world
        self._crew = crew

    def _call(self, what: str, effect: Callable[[], Any], delay: Callable[[], None] | None = None) -> Any:
        self.requests += 1
        self._travel()
        try:
            return super()._call(what, effect, delay)
        finally:
            self._travel()

    def _travel(self) -> None:
        random = self._world.random
        is_slow = random.random() < self._world.slow
        self._crew.sleep(random.uniform(0, 6) if is_slow else random.uniform(0.005, 0.05))


@dataclass(eq=False)
class Task:
    """A task that sends. ``rest`` gives the seconds that it does something else after each request."""

    world: World
    slots: int = 1
    pace: float = 1.0
    skew: float = 0.0
    rest: Callable[[], float] = lambda: 0.0
    sent: list[float] = field(default_factory=list)
    is_over: bool = False
    has_ended: bool = False

    def __post_init__(self) -> None:
        world, number = self.world, next(self.world.numbers)
        self.machine = Machine(f"task {number}")
        crew = SimulatedCrew(world, self.machine, self.skew)
        self.crew, self.store = crew, Far(world, self.machine, crew)
        self.pacer = Pacer(BUDGET, None, clock=crew.seconds)
        roll = Roll(self.store, LAYOUT, crew, owner=self.machine.name, token=f"t{number}")
        part = self.slots * self.pace / SLOTS
        self.share = Share(roll, self.pacer, crew, part=part, limit=self.pace)
        world.spawn(self.machine, self._run)

    @property
    def is_gone(self) -> bool:
        """Whether its slots are free again."""
        return self.has_ended or self.machine.is_dead

    def kill(self) -> None:
        """Ends it where it is."""
        self.world.kill(self.machine)

    def rate(self, since: float, until: float) -> float:
        """The requests per second that it sent between two times."""
        return (bisect_left(self.sent, until) - bisect_left(self.sent, since)) / (until - since)

    def _run(self) -> None:
        with self.share:
            while not self.is_over:
                if (wait := self.pacer.take(1)) > 0:
                    self.crew.sleep(wait)
                    continue
                self.world.sent.append(self.world.clock)
                self.sent.append(self.world.clock)
                if rest := self.rest():
                    self.crew.sleep(rest)
        self.has_ended = True


@dataclass
class Trouble:
    """What happens to the tasks of a history, as a seed decides."""

    world: World
    tasks: list[Task] = field(default_factory=list)

    def play(self, seconds: float) -> None:
        """Plays so many seconds."""
        random = self.world.random
        most, stalls = random.choice([0.5, 2.0, 6.0]), random.choice([(0.0, 3.0), (2.0, 12.0), (24.0, 40.0)])
        while self.world.clock < seconds:
            self._happen(random.uniform(*stalls))
            self.world.run(min(seconds, self.world.clock + random.uniform(0, most)))

    def _happen(self, stall: float) -> None:
        world, random = self.world, self.world.random
        running = [task for task in self.tasks if not task.is_gone]
        free = SLOTS - sum(task.slots for task in running)
        if free and random.random() < 0.5:
            self.tasks.append(self._task(min(free, random.choice([1, 1, 1, 2, 4]))))
        world.state.is_down = random.random() < 0.03
        world.slow = random.choice([0.0, 0.0, 0.2])
        if world.state.limbo and random.random() < 0.5:
            world.state.land_late(random.randrange(len(world.state.limbo)))
        if running:
            task, fate = random.choice(running), random.random()
            if fate < 0.02:
                task.kill()
            elif fate < 0.08:
                task.is_over = True
            elif fate < 0.2 and not any(map(world.is_still, (each.machine for each in running))):
                world.stall(task.machine, stall)

    def _task(self, slots: int) -> Task:
        random = self.world.random
        kinds: list[Callable[[], float]] = [
            lambda: 0.0,
            lambda: 0.0,
            lambda: random.uniform(0, 6 / BUDGET),
            lambda: random.uniform(0, 0.3) if random.random() < 0.02 else 0.0,
            lambda: random.uniform(0, 8) if random.random() < 0.001 else 0.0,
        ]
        skew = random.uniform(-300, 300)
        return Task(self.world, slots, random.choice([1.0, 1.0, 0.5]), skew, random.choice(kinds))


def play(seed: int, seconds: float = 90.0) -> World:
    """Plays the history of a seed."""
    random = Random(seed)
    world = World(random, StoreFaults(lost=random.choice([0.0, 0.1]), down=random.choice([0.0, 0.05])))
    trouble = Trouble(world)
    trouble.play(seconds)
    for task in trouble.tasks:
        if not task.is_gone:
            task.kill()
    return world
