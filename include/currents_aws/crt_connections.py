"""Opens connections of AWS's Common Runtime, and ends its threads."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial

from awscrt.http import HttpClientConnection
from awscrt.io import ClientBootstrap, DefaultHostResolver, EventLoopGroup

from currents_aws.crt_settings import CrtSettings
from currents_aws.no_delay import NoDelay

# How long to wait for the runtime to end its threads, in seconds. It ends them at once unless a TLS handshake failed.
# Such a connection stays for up to half a minute, so that its timing tells an attacker nothing.
_END = 1.0

Opened = Callable[[HttpClientConnection | BaseException], None]


class Connections:
    """Opens connections to the endpoint in ``settings``, all on one thread, which also handles their traffic.

    While another thread computes in Python, each step of a request waits up to 5 ms for Python's lock. The sender
    releases the lock between requests. Then one thread is cheaper than two, which would pass the lock to each other.
    """

    def __init__(self, settings: CrtSettings) -> None:
        self._settings = settings
        self._loop = EventLoopGroup(1)
        self._bootstrap = ClientBootstrap(self._loop, DefaultHostResolver(self._loop))
        self._no_delay = NoDelay(settings.proxy.port if settings.proxy else settings.port)

    def open(self, opened: Opened) -> None:
        """Starts to open a connection and returns at once. ``opened`` is called with it, or with the error."""
        tls = self._settings.tls.new_connection_options() if self._settings.tls else None
        if tls:
            tls.set_server_name(self._settings.host)
        future: Future[HttpClientConnection] = HttpClientConnection.new(
            self._settings.host,
            self._settings.port,
            self._bootstrap,
            socket_options=self._settings.socket,
            tls_connection_options=tls,
            proxy_options=self._settings.proxy,
        )
        future.add_done_callback(partial(self._tell, opened))

    def close(self, idle: list[HttpClientConnection]) -> None:
        """Closes the idle connections, and ends the threads as soon as the other connections have ended too."""
        wait([connection.close() for connection in idle], _END)
        ended = self._loop.shutdown_event
        # They end when nothing refers to them anymore, and each connection does.
        idle.clear()
        del self._bootstrap, self._loop
        ended.wait(_END)

    def _tell(self, opened: Opened, future: Future[HttpClientConnection]) -> None:
        _keep_thread_state()
        error = future.exception()
        if error is None:
            self._no_delay.look()
        opened(error or future.result())


_this_thread = threading.local()


def _keep_thread_state() -> None:
    """Makes the calling thread of the runtime keep its Python state, some 20 KB, until the process ends.

    Python does not know such threads. For each call from one, four per request, it creates a state with memory fresh
    from the operating system, and throws it away afterwards: a third of the cost of a request. Taking Python's lock
    once more than it is released keeps the state; the lock itself is free all the same.

    Source: https://docs.python.org/3.11/c-api/init.html#c.PyGILState_Ensure
    """
    if not hasattr(_this_thread, "kept"):
        _this_thread.kept = True
        ctypes.pythonapi.PyGILState_Ensure()
