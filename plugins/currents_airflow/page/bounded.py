"""A command of `airflow currents` in a process of its own, which may take so much memory and time and no more.

The API server runs it for what needs pandas and Arrow, so that no question of the page can harm it.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryDirectory, TemporaryFile
from threading import BoundedSemaphore
from typing import Any

from currents_core.errors import CurrentsError, TransientError

log = logging.getLogger(__name__)

_SECONDS = 60
# Of data, most of which is set aside only; what runs the API server has room for all of it.
MEMORY_BYTES = 3 << 30
# The largest file that is looked into.
_FILE_BYTES = 2 << 30
_TRACEBACK = "Traceback (most recent call last)"
# At a time, by one API server.
PROCESSES = 2
_room = BoundedSemaphore(PROCESSES)


def answer(*words: str) -> Any:
    """What a command answers as JSON. Raises CurrentsError with its message, TransientError if it took too long."""
    if any("\0" in word for word in words):
        raise CurrentsError("the question has a character that nothing can be named with")
    # Whoever waited here would hold a thread that Airflow's own pages need.
    if not _room.acquire(blocking=False):
        raise TransientError("other questions are still being answered; try again in a moment")
    try:
        # A file of its own, since whatever Airflow logs goes to both outputs. What the process fetches is removed with
        # the folder, however it ends.
        with TemporaryFile("w+") as told, TemporaryDirectory(prefix="currents-question-") as folder:
            errors = _run([str(told.fileno()), *words], told.fileno(), folder)
            told.seek(0)
            body = told.read()
        if not body:
            raise CurrentsError(_line(errors))
        return json.loads(body)
    finally:
        _room.release()


def _line(errors: str) -> str:
    """The line of a process that ended without an answer: its fault's own, unless nobody expected that."""
    if not errors.strip() or _TRACEBACK in errors:
        log.error("a question was not answered:\n%s", errors)
        return "the question could not be answered; the log of the API server has the reason"
    return errors.strip().splitlines()[-1]


def _run(words: Sequence[str], output: int, folder: str) -> str:
    """Runs a process to its end, with a folder for its files. Returns what it wrote to its standard error."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": folder}
    try:
        return subprocess.run(  # noqa: S603 - no shell; the words are those of a command of this project
            [sys.executable, "-m", __name__, *words],
            env=environment,
            pass_fds=[output],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_SECONDS,
            check=False,
        ).stderr
    except subprocess.TimeoutExpired:
        raise TransientError(f"no answer within {_SECONDS} seconds; ask for a single day") from None


def main() -> None:
    """Runs the command, and writes what it answers to the file descriptor that comes first."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    os.dup2(int(sys.argv[1]), 1)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    from currents_airflow.__main__ import main as command

    command([*sys.argv[2:]])


if __name__ == "__main__":
    main()
