"""A destination that accepts, throttles, fails and refuses entries as the seed decides; answers may be lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson

from currents_aws.json_wire import JsonWire
from currents_core.delivering.prepare import Batched
from currents_core.entry import Common, Entry, Span, Wire
from currents_core.errors import SetupError, TransientError
from currents_core.file_key import SourceFile
from currents_core.limits import Limits
from currents_core.ports import SENT, Completion, Failed, Finding, Invalid, Result
from tests.simulation.scheduler import Process, Scheduler


@dataclass
class DestinationFaults:
    """How often requests and entries fail, and which ids are refused: ``refused`` until fixed, ``never`` for ever."""

    throttled: float = 0.0
    failed: float = 0.0
    lost: float = 0.0
    ended: float = 0.0
    whole: float = 0.0
    refused: set[str] = field(default_factory=set)
    never: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Put:
    """An entry of a request: the row that it is for, and its event."""

    file: SourceFile
    row: int
    event_type: str
    id: str

    @property
    def place(self) -> tuple[str, int]:
        """The id of the file, and the row."""
        return self.file.id, self.row


class Watcher:
    """What an observer learns of requests. This one ignores it all."""

    def sending(self, process: Process, puts: Sequence[Put]) -> None:
        """A request starts."""

    def accepted(self, process: Process, put: Put) -> None:
        """The destination accepted an entry."""

    def looking(self, process: Process) -> float:
        """A process begins to look. Returns the time."""
        return 0.0

    def looked(self, process: Process, began: float) -> None:
        """A look that began then found the destination active."""

    def answered(self, process: Process, puts: Sequence[Put]) -> None:
        """The process learns that these entries were accepted."""


@dataclass
class Destination:
    """The destination of all processes.

    One that ``is_watched`` is not always active, and then drops what it accepts.
    """

    scheduler: Scheduler
    watcher: Watcher = field(default_factory=Watcher)
    faults: DestinationFaults = field(default_factory=DestinationFaults)
    is_watched: bool = False
    is_active: bool = True

    def deactivate(self, seconds: float) -> None:
        """Has everything that is accepted from now on be dropped, for some time."""
        self.is_active = False
        self.scheduler.tell(f"the destination is PENDING for {seconds} s")
        self.scheduler.after(seconds, None, self.activate)

    def activate(self) -> None:
        """Has what is accepted arrive again."""
        self.is_active = True
        self.scheduler.tell("the destination is ACTIVE")

    def arrive(self, process: Process, puts: Sequence[Put], answer: Callable[[list[Result]], None]) -> None:
        """A request arrives. ``answer`` is called if an answer gets back."""
        faults, random = self.faults, self.scheduler.random
        fate = random.random()
        if fate < faults.lost / 2:
            results: list[Result] = [Failed("ConnectionClosed", "", "outage", maybe_accepted=True)] * len(puts)
        elif len(puts) > 1 and any(put.id in faults.never for put in puts) and random.random() < faults.whole:
            results = [Invalid("ValidationException", "", whole_request=True)] * len(puts)
        else:
            results = [self._judge(process, put) for put in puts]
            if fate < faults.lost:
                results = [Failed("ReadTimeout", "", "outage", maybe_accepted=True)] * len(puts)
        self.scheduler.tell(f"   request of {process.name}: {' '.join(map(_short, puts, results))}")
        if not process.is_dead:
            self.scheduler.soon(process, lambda: answer(results))

    def _judge(self, process: Process, put: Put) -> Result:
        faults, fate = self.faults, self.scheduler.random.random()
        if put.id in faults.refused or put.id in faults.never:
            return Invalid("MalformedDetail", "refused")
        if fate < faults.throttled:
            return Failed("ThrottlingException", "", "throttled")
        if fate < faults.throttled + faults.failed:
            return Failed("InternalFailure", "", "outage")
        if self.is_active:
            self.watcher.accepted(process, put)
        return SENT


class SimulatedTarget:
    """The destination as one process calls it."""

    def __init__(self, destination: Destination, process: Process, limits: Limits, in_flight: int) -> None:
        self.limits = limits
        self.wire: Wire = JsonWire()
        self.in_flight = in_flight
        self.look = self._look if destination.is_watched else None
        # Whether nobody waits for answers any more.
        self.is_over: Callable[[], bool] = lambda: False
        self._destination = destination
        self._process = process

    def preflight(self, probes: Sequence[Common] = ()) -> list[Finding]:
        """Checks nothing."""
        return []

    def send(self, chunk: Sequence[Span], complete: Completion) -> None:
        """Starts a request, which arrives and is answered some steps later."""
        scheduler, process, watcher = self._destination.scheduler, self._process, self._destination.watcher
        puts = [_put(span, entry) for span in chunk for entry in span]
        watcher.sending(process, puts)

        def answer(results: list[Result]) -> None:
            if scheduler.random.random() < self._destination.faults.ended:
                complete(TransientError("the credentials ran out"))
                return
            if not self.is_over() and not self.look:
                watcher.answered(process, [put for put, result in zip(puts, results, strict=True) if result == SENT])
            complete(results)

        scheduler.soon(None, lambda: self._destination.arrive(process, puts, answer))

    def confirmed(self, span: Span) -> None:
        """The process takes entries of a destination that is watched as accepted."""
        self._destination.watcher.answered(self._process, [_put(span, entry) for entry in span])

    def close(self) -> None:
        """Does nothing."""

    def _look(self) -> None:
        """Looks whether the destination is active; see ``Target``."""
        destination, process = self._destination, self._process
        scheduler, watcher = destination.scheduler, destination.watcher
        began = watcher.looking(process)
        scheduler.pause()
        is_lost, is_active = scheduler.random.random() < destination.faults.failed / 2, destination.is_active
        scheduler.tell(f"{process.name}: looks: {'no answer' if is_lost else is_active}")
        # Long enough for answers to arrive meanwhile.
        for _ in range(scheduler.random.randint(1, 20)):
            scheduler.pause()
        if is_lost:
            raise TransientError("the look failed")
        if not is_active:
            raise SetupError("it is PENDING")
        watcher.looked(process, began)


def _put(span: Span, entry: Entry) -> Put:
    origin = span.entries.origin
    assert isinstance(origin, Batched)
    return Put(origin.opened.file, entry.row, entry.detail_type, orjson.loads(entry.detail)["id"])


def _short(put: Put, result: Result) -> str:
    how = "" if result == SENT else f"({getattr(result, 'code', '')})"
    return f"{put.file.key.rpartition('/')[2]}@{put.file.etag[:4]}:{put.row}={put.id}{how}"
