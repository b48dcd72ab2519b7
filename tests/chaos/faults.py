"""What befalls the cluster, and how soon Airflow has to notice and to recover.

A fault is a generator: up to its first `yield` it finds the tries that it will hit, which may take a while, up to the
second it strikes, and what follows ends it.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from tests.chaos.disks import Disk
from tests.chaos.tries import Tries, Try
from tests.tools.awaiting import wait_for
from tests.tools.cluster import Cluster, Part
from tests.tools.fault_plan import FaultPlan
from tests.tools.local_aws import LocalAws

Strike = Callable[["World"], Iterator[list[Try]]]

# Debian's package `faketime` has it.
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


@dataclass
class World:
    """What faults strike."""

    aws: LocalAws
    cluster: Cluster
    tries: Tries
    rng: random.Random
    disks: Mapping[str, Disk]
    connector: str = ""
    # The runs that waited in the queue when the fault struck.
    probes: list[str] = field(default_factory=list)
    # Whether workers that have lost their connection to the queue in an earlier fault are still there.
    is_cut: bool = False

    def running(self) -> list[Try]:
        """The tries that deliver; waits for some."""
        found: list[Try] = wait_for(120, self.tries.running)
        return found

    def victim(self) -> Try:
        """A try that delivers for the connector whose turn it is; waits for one."""

        def found() -> list[Try]:
            return [each for each in self.tries.running() if each.connector == self.connector]

        return self.rng.choice(wait_for(120, found))

    def busy_worker(self) -> tuple[Part, list[Try]]:
        """A worker that delivers something, and what it delivers."""

        def found() -> list[tuple[Part, list[Try]]]:
            each = [(worker, self.tries.on(worker)) for worker in self.cluster.workers]
            return [(worker, tries) for worker, tries in each if tries]

        return self.rng.choice(wait_for(120, found))


@dataclass(frozen=True)
class Fault:
    """One fault, and its bounds in seconds.

    - lasts: how long it is before it ends
    - noticed, recovered: from its beginning; the first until the last of the tries that it hit counts as ended, the
      second until each of these tasks goes on, events arrive and, if it keeps tasks from starting, one starts
    - kills: it kills what sends with SIGKILL, so that events may be repeated
    - spares: no try is lost by it
    - halts: it keeps tasks from starting
    - stops: tries are told to end, which wait three seconds for answers, and send anew what was not answered by then
    - cuts, renews: workers lose their connection to the queue, or are new afterwards
    - is_of_task: it strikes a single task, so it is played for each kind of bus
    - raises: how many tries in a row it ends by an error, after each of which the next waits longer
    """

    name: str
    strike: Strike
    recovered: float
    noticed: float | None = None
    lasts: float = 0.0
    kills: bool = False
    spares: bool = False
    halts: bool = False
    stops: bool = False
    cuts: bool = False
    renews: bool = False
    is_of_task: bool = False
    raises: int = 0


def _task_killed(world: World) -> Iterator[list[Try]]:
    victim = world.victim()
    yield [victim]
    os.kill(victim.pid, signal.SIGKILL)
    yield []


def _supervisor_killed(world: World) -> Iterator[list[Try]]:
    victim = world.victim()
    yield [victim]
    os.kill(psutil.Process(victim.pid).ppid(), signal.SIGKILL)
    yield []


def _worker_killed(world: World) -> Iterator[list[Try]]:
    worker, hit = world.busy_worker()
    yield hit
    worker.kill()
    worker.start()
    yield []


def _worker_stopped(world: World) -> Iterator[list[Try]]:
    worker, hit = world.busy_worker()
    yield hit
    worker.stop()
    worker.start()
    yield []


def _workers_down(world: World) -> Iterator[list[Try]]:
    yield world.running()
    for worker in world.cluster.workers:
        worker.kill()
    yield []
    for worker in world.cluster.workers:
        worker.start()


@contextmanager
def _standing_still(workers: Iterable[Part]) -> Iterator[None]:
    """Workers that take nothing from the queue meanwhile; what they have taken goes on."""
    mains = [psutil.Process(worker.process.pid) for worker in workers if worker.process]
    for main in mains:
        main.suspend()
    try:
        yield
    finally:
        for main in mains:
            main.resume()


@contextmanager
def _queued(world: World) -> Iterator[None]:
    """Messages in the queue: nobody takes any meanwhile, since the workers stand still."""
    workers = world.cluster.workers
    with _standing_still(workers):
        world.probes += [world.tries.begin_probe() for _ in range(QUEUED)]
        # What a worker is handed while it stands still is in the queue no longer.
        wait_for(120, lambda: world.cluster.redis.length("default") >= QUEUED - len(workers))
        yield


def _scheduler_killed(world: World) -> Iterator[list[Try]]:
    """With tasks that it has queued, and that nobody has taken."""
    scheduler = world.cluster.parts["airflow-scheduler"]
    hit = world.running()
    with _queued(world):
        yield hit
        scheduler.kill()
    scheduler.start()
    yield []


def _api_server_killed(world: World) -> Iterator[list[Try]]:
    """All tasks talk to it alone."""
    yield world.running()
    server = world.cluster.parts["airflow-apiserver"]
    server.kill()
    server.start()
    yield []


def _queue_stopped(world: World) -> Iterator[list[Try]]:
    yield world.running()
    world.cluster.redis.stop()
    yield []
    world.cluster.redis.start()


def _queue_killed(world: World, *, loses: bool = False) -> Iterator[list[Try]]:
    """With messages in it, which it may lose."""
    hit = world.running()
    with _queued(world):
        yield hit
        world.cluster.redis.kill()
    yield []
    if loses:
        world.cluster.redis.lose()
    world.cluster.redis.start()


def _database_down(world: World) -> Iterator[list[Try]]:
    yield world.running()
    world.cluster.postgres.stop()
    yield []
    world.cluster.postgres.start()


def _disk_full(world: World) -> Iterator[list[Try]]:
    worker, hit = world.busy_worker()
    yield hit
    before = world.tries.waiting_for_retries()
    world.disks[worker.name].fill()
    yield []
    world.disks[worker.name].clear()
    has_next = any(world.tries.now(each).number > each.number for each in hit)
    assert has_next or world.tries.waiting_for_retries() - before, "no try needed room"


def befell(world: World, *faults: str) -> int:
    """How many requests and entries some of local AWS's faults befell, or any of them."""
    counted: dict[str, int] = world.aws.counts()["faults"]
    return sum(count for name, count in counted.items() if not faults or name in faults)


def _clock_wrong(world: World) -> Iterator[list[Try]]:
    """A worker whose clock is off by more than the five minutes that AWS bears with takes tasks."""
    worker, hit = world.busy_worker()
    yield hit
    worker.stop()
    right = worker.environment
    offset = world.rng.choice(("+", "-"))
    worker.environment = {
        **right,
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME": f"{offset}360s",
    }
    before = befell(world, "clock_skew")
    worker.start()
    yield []
    # Others might take all that comes.
    try:
        with _standing_still([each for each in world.cluster.workers if each is not worker]):
            wait_for(120, lambda: befell(world, "clock_skew") > before)
    finally:
        worker.stop()
        worker.environment = right
        worker.start()


def _destination_fails(world: World) -> Iterator[list[Try]]:
    plan = FaultPlan(
        seed=world.rng.randrange(1 << 30),
        throttle=0.2,
        server_error=0.1,
        cut_before=0.05,
        cut_after=0.05,
        entry_throttle=0.1,
        entry_failure=0.1,
        hold=True,
    )
    yield from _of_aws(world, plan)


def _storage_away(world: World) -> Iterator[list[Try]]:
    yield from _of_aws(world, FaultPlan(s3_unavailable=1, hold=True))


def _of_aws(world: World, plan: FaultPlan) -> Iterator[list[Try]]:
    yield world.running()
    before = befell(world)
    world.aws.set_faults(plan)
    yield []
    world.aws.set_faults(FaultPlan(hold=True))
    assert befell(world) > before, "no request met with it"


# Messages in a full queue. Tasks beyond the slots of all workers wait in the scheduler, so it never has many.
QUEUED = 12
# Until a try that died without a word is noticed: 75 s without a heartbeat, and up to 15 s until someone looks.
SILENT = 90
# A first retry waits 30 s, and a task takes some seconds to start.
RETRIED = 90
# From when it lost its connection to the queue, a worker does not know any more which of its processes are busy: what
# it takes may wait behind a delivery until it is sent again after 120 s, for which someone looks every 15 s.
RESENT = 135

FAULTS = [
    Fault("task killed", _task_killed, noticed=30, recovered=120, kills=True, is_of_task=True),
    # Such a task waits twelve seconds for answers.
    Fault("supervisor killed", _supervisor_killed, noticed=SILENT, recovered=SILENT + RETRIED, is_of_task=True),
    Fault("worker killed", _worker_killed, noticed=SILENT, recovered=SILENT + RETRIED, kills=True),
    # It waits up to its grace period for tasks that plan or account.
    Fault("worker stopped", _worker_stopped, noticed=75, recovered=150, stops=True),
    Fault(
        "workers down 5 min",
        _workers_down,
        lasts=300,
        noticed=SILENT,
        recovered=480,
        kills=True,
        halts=True,
        renews=True,
    ),
    Fault("scheduler killed", _scheduler_killed, recovered=90, spares=True, halts=True),
    Fault("API server killed", _api_server_killed, recovered=120, spares=True, halts=True),
    # What was lost is sent again after 120 s, for which someone looks every 15 s; so is what waits behind a delivery. A
    # message may meet with both, or with the second one twice. Deliveries that began before take four minutes at most.
    Fault("queue stopped 20 s", _queue_stopped, lasts=20, recovered=330, spares=True, halts=True, cuts=True),
    Fault("queue killed", _queue_killed, lasts=5, recovered=330, spares=True, halts=True, cuts=True),
    Fault("queue lost", partial(_queue_killed, loses=True), lasts=5, recovered=330, spares=True, halts=True, cuts=True),
    Fault("database down 20 s", _database_down, lasts=20, recovered=120, spares=True, halts=True),
    Fault("database down 60 s", _database_down, lasts=60, recovered=150, halts=True, stops=True, raises=1),
    Fault("disk full", _disk_full, lasts=30, recovered=120, raises=1),
    # The worker is stopped and started, and what it takes fails, for which it has two minutes. Airflow counts the delay
    # of a retry from the end of the try before, by the clock of the worker, which may be six minutes ahead.
    Fault("clock six minutes off", _clock_wrong, lasts=30, noticed=75, recovered=600, stops=True, raises=2),
    Fault("destination fails", _destination_fails, lasts=30, recovered=90, spares=True),
    Fault("S3 away 60 s", _storage_away, lasts=60, recovered=180, halts=True, raises=1),
]
