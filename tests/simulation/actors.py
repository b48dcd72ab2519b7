"""The processes of a history, from exports to compactions, each with its own settings and clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any, Literal

from currents_aws.dry_run import DryRunTarget, Overlay
from currents_core.books import manifest
from currents_core.books.compact import Compaction
from currents_core.books.dead_letter import Letter
from currents_core.books.ledger import Ledger
from currents_core.books.manifest import Manifest
from currents_core.books.manifests import Manifests
from currents_core.books.retention import Retention
from currents_core.delivering.deliver import Delivery
from currents_core.entry import Span
from currents_core.errors import CurrentsError, DeliveryError, FencedError, SetupError
from currents_core.file_key import Slice, SourceFile
from currents_core.limits import Limits
from currents_core.ports import ObjectStore, Sent
from currents_core.sending.pacer import Pacer
from currents_core.sending.retry import Backoff
from currents_core.setup.settings import Connector
from tests.simulation.books import LAYOUT, ViolationError, require
from tests.simulation.crew import SimulatedCrew
from tests.simulation.destination import Destination, SimulatedTarget
from tests.simulation.files import US
from tests.simulation.oracle import Oracle, Record, head_key
from tests.simulation.scheduler import KilledError, Process, Scheduler
from tests.simulation.store import Bucket, View

Kind = Literal["export", "redrive", "dry run", "reconcile", "compact", "retire"]


@dataclass(frozen=True)
class Settings:
    """The settings of a connector that change: only events from the US, and event types that are left out."""

    only_us: bool = False
    excluded: tuple[str, ...] = ()

    def wants(self, event_type: str, found: str | None) -> bool:
        """Whether an event is wanted. A row without an id is not asked for its country."""
        return event_type not in self.excluded and not (self.only_us and found is not None and found not in US)


@cache
def connector(settings: Settings) -> Connector:
    """A connector with such settings."""
    told = {
        "name": "test",
        "source": {"bucket": "braze", "prefix": "in"},
        "destination": {"kind": "event_bus", "name": "bus", "region": "us-east-1"},
        "state": {"bucket": "state"},
        "filter": [{"field": "country", "in": ["US"]}] if settings.only_us else [],
        "event_types": {"exclude": list(settings.excluded)},
    }
    return Connector.model_validate(told)


@dataclass
class World:
    """What all processes share."""

    scheduler: Scheduler
    source: Bucket
    state: Bucket
    destination: Destination
    oracle: Oracle
    names: Any = field(default_factory=lambda: count(1))


@dataclass
class Actor:
    """One process. ``skew`` is by how much its clock is wrong, in seconds; ``rate`` its requests per second.

    ``letters`` are the ids whose letters a redrive sends again, None for all.
    """

    world: World
    kind: Kind
    settings: Settings
    work: Mapping[Slice, Sequence[SourceFile]]
    hour: str
    skew: float = 0.0
    max_events: int | None = None
    rate: float | None = None
    chunk: int = 4
    beat: float = 1.0
    slowness: int = 0
    letters: tuple[str, ...] | None = None
    error: BaseException | None = None
    has_ended: bool = False
    delivery: Delivery | None = None

    def __post_init__(self) -> None:
        number = next(self.world.names)
        self.process = Process(f"{self.kind} {number}", slowness=self.slowness)
        self.crew = SimulatedCrew(self.world.scheduler, self.process, self.skew)
        record = Record(self.settings.wants, self.crew.seconds)
        self.world.oracle.records[self.process] = record
        self._tokens = (f"{number:03}x{each:03}" for each in count())
        self.state = View(self.world.state, self.process, record)
        self.source = View(self.world.source, self.process)
        self.world.scheduler.spawn(self.process, self._run)

    def stop(self) -> None:
        """Tells a delivery to stop."""
        if self.delivery:
            self.delivery.stop()

    def _run(self) -> None:
        steps = {
            "export": self._deliver,
            "redrive": self._redrive,
            "dry run": self._dry_run,
            "reconcile": self._reconcile,
            "compact": self._compact,
            "retire": self._retire,
        }
        try:
            steps[self.kind]()
        except (KilledError, ViolationError):
            raise
        except BaseException as error:  # noqa: BLE001 - judged below
            self.error = error
        self.has_ended = True
        self.world.scheduler.tell(f"{self.process.name} ended: {self.error!r}")
        self._judge()

    def _judge(self) -> None:
        error = self.error
        told = f"{self.process.name}: {error!r}"
        require(error is None or isinstance(error, CurrentsError), told)
        is_pending = self.world.destination.is_watched and "PENDING" in str(error)
        require("please report" not in str(error) and (is_pending or not isinstance(error, SetupError)), told)
        if isinstance(error, FencedError):
            self.world.oracle.fenced(self.process)
        if self.kind in {"export", "redrive"}:
            self.world.oracle.ended(self.process, is_well=error is None or isinstance(error, DeliveryError))

    def _ledger(self, store: ObjectStore) -> Ledger:
        return Ledger(store, LAYOUT, crew=self.crew, token=lambda: next(self._tokens))

    def _delivery(self, **changes: Any) -> Delivery:
        scheduler = self.world.scheduler
        target = SimulatedTarget(self.world.destination, self.process, Limits(self.chunk, 1_000_000, 1_000_000), 3)
        given = {
            "connector": connector(self.settings),
            "source": self.source,
            "target": target,
            "pacer": Pacer(self.rate, None, clock=self.crew.seconds),
            "ledger": self._ledger(self.state),
            "owner": self.process.name,
            "backoff": Backoff(attempts=4, base=0.05, cap=2.0, patience=0.0, uniform=scheduler.random.uniform),
            "crew": self.crew,
            "max_events": self.max_events,
            "beat_seconds": self.beat,
            **changes,
        }
        self.delivery = delivery = Delivery(**given)
        target.is_over = lambda: delivery._sender._ended
        if target.look:
            delivery._confirmer._accept = lambda span, result: self._confirmed(target, delivery, span, result)
        return delivery

    def _confirmed(self, target: SimulatedTarget, delivery: Delivery, span: Span, result: Sent) -> None:
        target.confirmed(span)
        delivery._accept(span, result)

    def _deliver(self) -> None:
        account = self._delivery().deliver(self.work)
        require(account.totals.balanced, f"{self.process.name}: {account.totals}")

    def _redrive(self) -> None:
        self._delivery(wants_letter=self._wants_letter).deliver(self.work)

    def _wants_letter(self, letter: Letter) -> bool:
        return self.letters is None or letter["record"]["id"] in self.letters

    def _dry_run(self) -> None:
        target = DryRunTarget(Limits(self.chunk, 1_000_000, 1_000_000))
        ledger = self._ledger(Overlay(ReadOnly(self.world.state, self.process, self.world.oracle)))
        self._delivery(target=target, ledger=ledger).deliver(self.work)

    def _reconcile(self) -> None:
        planned = [file for files in self.work.values() for file in files]
        manifests = Manifests(self.state, LAYOUT, self.crew)

        def reconciled(_before: object) -> Manifest:
            found = manifest.reconcile("test", self.hour, planned, self._ledger(self.state))
            require(found.account.totals.balanced, f"a manifest does not balance: {found.account.totals}")
            if found.complete:
                for file in planned:
                    books = self.world.oracle.books.get(head_key(file.slice))
                    state = books.states.get(file.id) if books else None
                    require(state and state.fate == "done", f"an hour is called complete, and {file.key} is not done")
            return found

        manifests.write(manifests.draft(self.hour, reconciled), self.crew.now())

    def _compact(self) -> None:
        compaction = Compaction(self.state, LAYOUT, self.crew, lambda: next(self._tokens), quiet=-1.0)
        compaction.compact_next("2026-11-24-00")

    def _retire(self) -> None:
        Retention(self.state, LAYOUT, "2026-11-24", seconds=0.0, crew=self.crew).end_next()


class ReadOnly(View):
    """The state as a dry run may use it."""

    def __init__(self, bucket: Bucket, process: Process, oracle: Oracle) -> None:
        super().__init__(bucket, process)
        self._oracle = oracle

    def _write(self, what: str, key: str, effect: Callable[[], Any]) -> Any:
        self._oracle.violation = ViolationError(f"a dry run does this: {what}")
        raise self._oracle.violation
