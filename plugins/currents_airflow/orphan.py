"""Ends a task whose supervisor is gone.

Airflow runs a task in a process of its own, below a supervisor that beats for it. When the supervisor is killed, the
task lives on, and nobody tells it. Airflow takes it for dead after some minutes and starts its next try. An orphan
holds no slot of a pool any more, so it must not send.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from threading import Thread

_LOOK_SECONDS = 0.5
# At most, to wait for answers, save what was accepted and give claims back: a destination on a busy machine may be
# seconds behind, and what was not saved goes again. The next try begins half a minute later at the earliest, after the
# delay of a first retry.
_GRACE_SECONDS = 20.0


def end_with_supervisor(end_within: Callable[[float], None]) -> None:
    """From now on, if the supervisor of this process dies, has it end within some seconds, and ends it after these.

    Where there is no supervisor in another process, as under `airflow dags test`, it does nothing.
    """
    from airflow.sdk.execution_time import task_runner

    # The task asks its supervisor for connections through this. It tells of the supervisor's death whoever is the
    # parent: with `run_as_user` that is sudo, and who tests a DAG in a shell may well close that.
    link = getattr(getattr(task_runner, "SUPERVISOR_COMMS", None), "socket", None)
    if isinstance(link, socket.socket):
        Thread(target=watch, args=[link, end_within], name="orphan", daemon=True).start()


def watch(
    link: socket.socket,
    end_within: Callable[[float], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    end: Callable[[int], object] = os._exit,
) -> None:
    """Returns when this side closes the link, as a task does when it has ended; ends the process if the other does."""
    while _is_open(link):
        sleep(_LOOK_SECONDS)
    if link.fileno() < 0:
        return
    # Beside this thread, for it may wait, or fail: whatever it logs has nowhere to go.
    Thread(target=end_within, args=[_GRACE_SECONDS], daemon=True).start()
    sleep(_GRACE_SECONDS)
    end(1)


def _is_open(link: socket.socket) -> bool:
    try:
        # Takes nothing from the thread that waits for an answer.
        return link.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
