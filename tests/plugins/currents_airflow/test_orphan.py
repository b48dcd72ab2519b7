from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace

import pytest
from airflow.sdk.execution_time import task_runner

from currents_airflow.operators.retries import delay_after
from currents_airflow.orphan import end_with_supervisor, watch
from tests.tools.airflow_env import PYTHONPATH, ROOT
from tests.tools.awaiting import Awaited, wait_for
from tests.tools.processes import is_alive

# A supervisor that forks a task, which lives for a minute, with work that pays no heed to being told to end.
FAMILY = """
import os, socket, sys, time
from types import SimpleNamespace
from airflow.sdk.execution_time import task_runner
from currents_airflow import orphan
from currents_airflow.orphan import end_with_supervisor

orphan._GRACE_SECONDS = 2
mine, its = socket.socketpair()
if os.fork():
    its.close()
    time.sleep(600)
mine.close()
task_runner.SUPERVISOR_COMMS = SimpleNamespace(socket=its)
end_with_supervisor(lambda seconds: (print("told", seconds, flush=True), time.sleep(600)))
print(os.getpid(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def link() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The supervisor's end of a link, and the task's."""
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def watched(
    end_of_task: socket.socket, end_within: Callable[[float], None], sleeps: Callable[[float], None]
) -> list[int]:
    """The codes with which a process is ended."""
    ended: list[int] = []
    watch(end_of_task, end_within, sleep=sleeps, end=ended.append)
    return ended


def closing(end: socket.socket, sleeps: list[float]) -> Callable[[float], None]:
    """A sleep that takes no time, and in the third of which an end is closed."""

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == 3:
            end.close()

    return sleep


@pytest.mark.parametrize("unread", [b"", b"a question of the task"], ids=["idle", "busy"])
def test_when_the_supervisor_is_gone_the_task_is_told_and_soon_ended(
    link: tuple[socket.socket, socket.socket], unread: bytes
) -> None:
    supervisor, task = link
    task.sendall(unread)
    told, sleeps = Awaited[float](), list[float]()
    assert watched(task, told, closing(supervisor, sleeps)) == [1]
    *looks, grace = sleeps
    assert told.result() == grace
    assert len(looks) == 3
    assert grace >= 15, "a destination may be seconds behind"
    assert looks[-1] + grace < delay_after(1).total_seconds(), "the next try finds it gone"


def test_a_task_that_can_not_be_told_is_ended_all_the_same(link: tuple[socket.socket, socket.socket]) -> None:
    supervisor, task = link
    supervisor.close()
    released = threading.Event()

    def hang(_: float) -> None:
        released.wait()

    assert watched(task, hang, lambda _: None) == [1]
    released.set()


def test_a_task_that_has_ended_is_left_alone(link: tuple[socket.socket, socket.socket]) -> None:
    _, task = link
    told = list[str]()
    assert watched(task, lambda seconds: told.append(f"{seconds}"), closing(task, [])) == []
    assert told == []


def test_answers_of_the_supervisor_are_left_to_the_task(link: tuple[socket.socket, socket.socket]) -> None:
    supervisor, task = link
    supervisor.sendall(b"an answer")
    read = list[bytes]()

    def sleep(_: float) -> None:
        if not read:
            read.append(task.recv(100))
            supervisor.close()

    assert watched(task, lambda _: None, sleep) == [1]
    assert read == [b"an answer"]


@pytest.mark.parametrize("comms", [None, SimpleNamespace(), SimpleNamespace(socket=None)])
def test_a_task_without_a_supervisor_is_not_watched(monkeypatch: pytest.MonkeyPatch, comms: object) -> None:
    if comms is None:
        monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    else:
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    end_with_supervisor(lambda _: None)
    assert "orphan" not in {thread.name for thread in threading.enumerate()}


def test_a_process_whose_supervisor_is_killed_is_gone_after_its_grace() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{PYTHONPATH}:{ROOT / 'plugins'}"}
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as supervisor:
        assert supervisor.stdout
        pid = int(supervisor.stdout.readline())
        time.sleep(1)
        assert is_alive(pid)
        supervisor.send_signal(signal.SIGKILL)
        try:
            assert supervisor.stdout.readline() == "told 2\n"
            wait_for(60, lambda: not is_alive(pid))
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
