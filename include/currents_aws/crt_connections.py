"""Opens connections of AWS's Common Runtime, and ends the runtime's threads."""

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

# In seconds. The runtime ends its threads at once, unless a TLS handshake has failed: such a connection it keeps for up
# to half a minute, so that an attacker learns nothing from the time, and ends them after that.
_END = 1.0

Opened = Callable[[HttpClientConnection | BaseException], None]


class Connections:
    """Opens connections to where ``settings`` say, on one thread, which also carries all that happens on them.

    While another thread computes in Python, each step of a request waits up to 5 ms for Python's lock. The sender lets
    go of it between requests, and then one thread is cheaper than two, which would pass the lock back and forth.
    """

    def __init__(self, settings: CrtSettings) -> None:
        self._settings = settings
        self._loop = EventLoopGroup(1)
        self._bootstrap = ClientBootstrap(self._loop, DefaultHostResolver(self._loop))
        self._no_delay = NoDelay(settings.proxy.port if settings.proxy else settings.port)

    def open(self, opened: Opened) -> None:
        """Begins to open a connection and returns at once; ``opened`` is told of it, or why there is none."""
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
        """Ends the connections that are not in use, and the threads as soon as the others have ended too."""
        wait([connection.close() for connection in idle], _END)
        ended = self._loop.shutdown_event
        # Letting go of them is how they end, and each connection holds on to them.
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
    """Lets the runtime's thread that calls this keep its Python state; it lives as long as the process, in some 20 KB.

    Python knows nothing of such threads. It makes a state for each call from one, four a request, with memory fresh
    from the operating system, and throws it away: a third of what a request costs. Taking Python's lock once more than
    it is given back keeps the state, and the lock itself is free all the same.

    Source: https://docs.python.org/3.11/c-api/init.html#c.PyGILState_Ensure
    """
    if not hasattr(_this_thread, "kept"):
        _this_thread.kept = True
        ctypes.pythonapi.PyGILState_Ensure()
