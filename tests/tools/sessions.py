"""Processes by their sessions: all that a server starts, and what it left when it ended.

A session's number is the pid of the process that it began with, and is not given again while the session has a process.
Environments can't tell whose a process is: those that set their title overwrite theirs.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from tests.tools.processes import kill

# The end of a process that was killed.
KILLED_SECONDS = 60.0


def members(session: int) -> list[psutil.Process]:
    """The processes of a session."""
    found = []
    # process_iter() may give what it once knew of a number that has a new owner, which is not killed then.
    for pid in psutil.pids():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getsid(pid) == session:
                found.append(psutil.Process(pid))
    return found


def shown(process: psutil.Process) -> str:
    """A process for people."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline()) or process.name()
    return str(process.pid)


class Sessions:
    """Sessions that somebody has begun, written down in a folder so that another can end them if he is gone."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "sessions.json"
        self._begun: dict[int, float] = {}

    def begin(self, session: int) -> None:
        """Takes in a session that has just begun."""
        self._begun[session] = _born(session)
        self._write()

    def end(self, session: int) -> list[str]:
        """Kills what a session still has, and forgets it; its number may be given again.

        Returns what was killed, for people.
        """
        left = self._of(session)
        names = [shown(process) for process in left]
        kill(left)
        self._begun.pop(session, None)
        self._write()
        return names

    def end_with(self, process: subprocess.Popen[bytes]) -> None:
        """The same for the session of a process that this one has started, which is waited for."""
        self.end(process.pid)
        process.kill()
        process.wait(KILLED_SECONDS)

    def end_all(self) -> list[str]:
        """The same for all of them."""
        return [name for session in list(self._begun) for name in self.end(session)]

    def orphans(self) -> list[str]:
        """Processes whose parents are gone, for people."""
        found = []
        for session in list(self._begun):
            ours = {process.pid: process for process in self._of(session)}
            for pid in ours.keys() - {session}:
                with suppress(psutil.Error):
                    if ours[pid].ppid() not in ours and ours[pid].status() != psutil.STATUS_ZOMBIE:
                        found.append(shown(ours[pid]))
        return found

    def _of(self, session: int) -> list[psutil.Process]:
        found = members(session)
        # Where its first process is another one, the number was given again.
        is_other = any(process.pid == session for process in found) and _born(session) != self._begun.get(session)
        return [] if is_other else found

    def _write(self) -> None:
        told = {"owner": os.getpid(), "born": _born(os.getpid()), "begun": dict(self._begun)}
        self._path.write_text(json.dumps(told))

    @classmethod
    def forsaken(cls, folders: Iterator[Path]) -> Iterator[Sessions]:
        """What is written down in folders by processes that are gone."""
        for folder in folders:
            with suppress(OSError, ValueError):
                told = json.loads((folder / "sessions.json").read_text())
                if _born(told["owner"]) != told["born"]:
                    found = cls(folder)
                    found._begun = {int(session): born for session, born in told["begun"].items()}
                    yield found


def _born(pid: int) -> float:
    """When a process began; 0 where there is none."""
    with suppress(psutil.Error):
        return psutil.Process(pid).create_time()
    return 0.0
