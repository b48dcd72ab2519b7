"""Requests through AWS's Common Runtime: many at a time on two threads, with a tenth of the CPU that boto3 takes.

A connection carries one request at a time: the next one is written only after the answer to the last. So a connection
that is cut leaves no more than one request unanswered.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from threading import Event, Lock, Thread

from awscrt.http import HttpClientConnection
from botocore.client import BaseClient

from currents_aws.aws_errors import AWS_ERRORS, translate
from currents_aws.aws_protocol import Operation, operation_of
from currents_aws.crt_connections import Connections
from currents_aws.crt_exchange import Exchange, reason
from currents_aws.crt_settings import CrtSettings
from currents_aws.crt_signer import CrtSigner
from currents_aws.transport import Answer, Completion, NoAnswer
from currents_core.errors import SetupError

_CLOSED = "Closed"
_ALL = float("inf")


class CrtTransport:
    """Carries requests of the service of ``client``, for which ``crt_settings.crt_refusal`` must be None.

    ``in_flight`` is the most connections. The requests in flight are the requests per second times the seconds that an
    answer takes: 128 allow 5,000 requests/s, about what two cores can send, with answers after 25 ms. Connections are
    opened as needed. The one used last is used first, so those beyond the need stay idle until the service closes them.

    An answer may take the client's read timeout, from sending to the last byte. Opening a connection may take the
    connect timeout plus the read timeout, because of proxies and TLS. ``close`` waits ``grace`` seconds for answers.

    ``global_url`` is the address of a global endpoint, if requests go to one.

    Raises SetupError if the CA bundle can't be read.
    """

    def __init__(self, client: BaseClient, in_flight: int = 128, grace: float = 5.0, *, global_url: str = "") -> None:
        self.in_flight = in_flight
        self._client = client
        self._grace = grace
        settings = CrtSettings(client, global_url)
        self._read_timeout = settings.read_timeout
        self._open_timeout = settings.connect_timeout + settings.read_timeout
        self._signer = CrtSigner(client, settings)
        self._connections = Connections(settings)
        self._operations: dict[str, Operation] = {}
        # The lock guards everything from here on, and the fields of every exchange.
        self._lock = Lock()
        self._idle: list[HttpClientConnection] = []
        self._open = 0
        self._waiting: deque[Exchange] = deque()
        self._under_way: set[Exchange] = set()
        self._closing = False
        self._drained, self._closed = Event(), Event()
        self._watch = Thread(target=self._watch_deadlines, name="crt-transport", daemon=True)
        self._watch.start()

    def send(self, operation: str, body: bytes, complete: Completion) -> None:
        """Starts one request; see ``Transport``. ``complete`` must be quick: its thread carries all other requests."""
        try:
            known = self._operations.get(operation) or self._operation(operation)
            exchange = Exchange(known, self._signer.request(known, body), complete)
        except AWS_ERRORS as error:
            complete(translate(error, "call failed", f"{operation} in {self._client.meta.region_name}"))
            return
        except Exception as error:  # noqa: BLE001 - credentials may come from any code, and complete must be called
            complete(
                SetupError(
                    f"preparing the request failed: {type(error).__name__}; check the Airflow connection", uri=operation
                )
            )
            return
        with self._lock:
            closing = self._closing
            placed = not closing and self._place(exchange)
        if closing:
            complete(NoAnswer(_CLOSED, maybe_accepted=False))
        elif placed:
            self._start(exchange)

    def close(self) -> None:
        """Ends every connection and thread; see ``Transport``. Must not be called from a ``complete``."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            idle, self._idle = self._idle, []
            if not self._under_way:
                self._drained.set()
        self._drained.wait(self._grace)
        self._expire(_ALL)
        self._drained.wait(self._grace)
        self._closed.set()
        self._watch.join()
        self._connections.close(idle)

    def _operation(self, name: str) -> Operation:
        operation = self._operations[name] = operation_of(self._client.meta.service_model, name)
        return operation

    def _place(self, exchange: Exchange) -> bool:
        """Gives a new request a connection or the right to open one, or makes it wait. Needs the lock.

        Returns whether the request can start.
        """
        self._under_way.add(exchange)
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open():
                self._assign(exchange, connection)
                return True
            self._open -= 1
        if self._open == self.in_flight:
            self._waiting.append(exchange)
            return False
        self._open += 1
        self._assign(exchange, None)
        return True

    def _assign(self, exchange: Exchange, connection: HttpClientConnection | None) -> None:
        exchange.connection = connection
        exchange.deadline = time.monotonic() + (self._read_timeout if connection else self._open_timeout)

    def _start(self, exchange: Exchange) -> None:
        """Sends a request on its connection, or opens one for it first."""
        connection = exchange.connection
        if connection is None:
            self._connections.open(partial(self._opened, exchange))
            return
        try:
            stream = connection.request(exchange.request, exchange.on_response, exchange.on_body)
            stream.completion_future.add_done_callback(partial(self._completed, exchange, connection))
            stream.activate()
        except Exception as error:  # noqa: BLE001 - the runtime raises errors of many classes, and complete must be called
            self._free(exchange, connection)
            self._finish(exchange, NoAnswer(reason(error), maybe_accepted=False))

    def _opened(self, exchange: Exchange, opened: HttpClientConnection | BaseException) -> None:
        connection = None if isinstance(opened, BaseException) else opened
        with self._lock:
            late = bool(exchange.overdue)
            if connection and not late:
                self._assign(exchange, connection)
        if connection and not late:
            self._start(exchange)
            return
        self._free(exchange, connection)
        if not late:
            self._finish(exchange, NoAnswer(reason(opened), maybe_accepted=False))

    def _completed(self, exchange: Exchange, connection: HttpClientConnection, future: Future[int]) -> None:
        self._free(exchange, connection)
        self._finish(exchange, exchange.outcome(future.exception()))

    def _free(self, exchange: Exchange, connection: HttpClientConnection | None) -> None:
        """Passes the connection of a request, or the right to open another, to the next waiting request."""
        following = None
        with self._lock:
            exchange.connection = None
            exchange.deadline = _ALL
            usable = connection if connection and connection.is_open() else None
            if self._waiting:
                following = self._waiting.popleft()
                self._assign(following, usable)
            elif usable and not self._closing:
                self._idle.append(usable)
            else:
                self._open -= 1
                if usable:
                    usable.close()
        if following:
            self._start(following)

    def _finish(self, exchange: Exchange, outcome: Answer | NoAnswer) -> None:
        try:
            exchange.complete(outcome)
        finally:
            with self._lock:
                self._under_way.discard(exchange)
                if self._closing and not self._under_way:
                    self._drained.set()

    def _watch_deadlines(self) -> None:
        # What starts while this sleeps has at least a read timeout left, so nothing needs to wake this up.
        pause = self._read_timeout
        while not self._closed.wait(pause):
            next_deadline = self._expire(time.monotonic())
            pause = max(0.0, min(next_deadline - time.monotonic(), self._read_timeout))

    def _expire(self, now: float) -> float:
        """Ends the requests whose deadline is before ``now``, and returns the next deadline; both in seconds."""
        never_sent: list[Exchange] = []
        with self._lock:
            if now == _ALL:
                self._waiting.clear()
            for exchange in self._under_way:
                if exchange.deadline > now or exchange.overdue:
                    continue
                if exchange.connection:
                    exchange.overdue = _CLOSED if now == _ALL else "ReadTimeoutError"
                    # The request then completes with an error.
                    exchange.connection.close()
                else:
                    exchange.overdue = _CLOSED if now == _ALL else "ConnectTimeoutError"
                    never_sent.append(exchange)
            following = min((each.deadline for each in self._under_way if not each.overdue), default=_ALL)
        for exchange in never_sent:
            self._finish(exchange, NoAnswer(exchange.overdue, maybe_accepted=False))
        return following
