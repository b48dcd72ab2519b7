"""Postgres and Redis of one's own, on a port of the loopback, from the programs of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.tools.airflow_env import PATH
from tests.tools.awaiting import wait_for
from tests.tools.sessions import Sessions

STOP_SECONDS = 20
# As in the image of Postgres.
UTF8 = ("-E", "UTF8", "--locale", "C.UTF-8")


class Store:
    """A server with a folder of its own, which outlives its process."""

    def __init__(self, folder: Path, port: int, environment: Mapping[str, str], sessions: Sessions) -> None:
        self.folder, self.port, self.sessions = folder, port, sessions
        self.environment = {"PATH": PATH, **environment}
        self.process: subprocess.Popen[bytes] | None = None
        # Whether it ever took too long to stop, and was killed.
        self.was_overdue = False

    @property
    def log(self) -> Path:
        """Where what it prints goes."""
        return self.folder.with_suffix(".log")

    def start(self) -> None:
        """Starts it, and returns once it answers."""
        if not self.folder.exists():
            self._make()
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                self._command(),
                env=self.environment,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._user(),
            )
        self.sessions.begin(self.process.pid)
        wait_for(240, self.answers)

    def stop(self) -> None:
        """Stops it in good order."""
        if self.process and self.process.poll() is None:
            # Postgres ends its sessions on SIGINT, and would wait for them on SIGTERM.
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.was_overdue = True
            self.kill()

    def kill(self) -> None:
        """Kills every process of it at once."""
        assert self.process
        self.sessions.end_with(self.process)

    def _run(self, *command: str | Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            check=False,
            **self._user(),
        )

    def _make(self) -> None:
        self.folder.mkdir()

    def _user(self) -> dict[str, Any]:
        """Whom it runs as, and where, for `subprocess`."""
        return {}

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    @abstractmethod
    def answers(self) -> bool:
        """Whether it can be used."""


class Postgres(Store):
    """Postgres with the user and the database `airflow`, which docker-compose.yaml names as well."""

    def __init__(self, folder: Path, port: int, password: str, sessions: Sessions) -> None:
        super().__init__(folder, port, {"PGPASSWORD": password}, sessions)
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        if not found:
            raise RuntimeError("Postgres is not installed: apt-get install postgresql")
        self.programs, self.password = found[-1], password

    def answers(self) -> bool:
        return self._sql("select 1", "postgres").returncode == 0

    def start(self) -> None:
        is_new = not self.folder.exists()
        super().start()
        if is_new:
            done = self._sql("create database airflow", "postgres")
            assert done.returncode == 0, done.stderr

    def _make(self) -> None:
        super()._make()
        word = self.folder.with_suffix(".password")
        word.write_text(self.password)
        if user := self._user().get("user"):
            for path in (self.folder, word):
                shutil.chown(path, user)
        made = self._run(
            self.programs / "initdb",
            "-D",
            self.folder,
            "-U",
            "airflow",
            "-A",
            "scram-sha-256",
            f"--pwfile={word}",
            *UTF8,
        )
        word.unlink()
        assert made.returncode == 0, made.stderr

    def _user(self) -> dict[str, Any]:
        """Postgres refuses to run as root."""
        if os.geteuid():
            return {}
        user = pwd.getpwnam("postgres")
        return {"user": user.pw_name, "group": user.pw_gid, "cwd": "/"}

    def _command(self) -> Sequence[str]:
        told = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        options = [word for name, value in told.items() for word in ("-c", f"{name}={value}")]
        return [str(self.programs / "postgres"), "-D", str(self.folder), *options]

    def _sql(self, statement: str, database: str = "airflow") -> subprocess.CompletedProcess[bytes]:
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "airflow", "-d", database)
        return self._run(self.programs / "psql", *where, "-Atc", statement)


class Redis(Store):
    """Redis with the command of docker-compose.yaml, ``command``."""

    def __init__(self, folder: Path, port: int, command: Sequence[str], sessions: Sessions) -> None:
        password = command[command.index("--requirepass") + 1]
        super().__init__(folder, port, {"REDISCLI_AUTH": password}, sessions)
        if not shutil.which("redis-server"):
            raise RuntimeError("Redis is not installed: apt-get install redis-server")
        self.command = command

    def answers(self) -> bool:
        return self._run("redis-cli", "-p", str(self.port), "-e", "ping").returncode == 0

    def _command(self) -> Sequence[str]:
        return [*self.command, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]

    def lose(self) -> None:
        """Loses all that it has, once it is stopped."""
        shutil.rmtree(self.folder)
        self._make()

    def length(self, queue: str) -> int:
        """How many messages wait in a queue."""
        return int(self._run("redis-cli", "-p", str(self.port), "-e", "llen", queue).stdout or 0)
