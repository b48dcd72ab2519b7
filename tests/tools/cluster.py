"""Airflow as docker-compose.yaml sets it up, with processes of this machine in place of containers.

Whatever the file says of a service holds here as well: its command, its environment, its health check, that it is
restarted, and how long it has to stop. What can't be the same on one machine are addresses and folders.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import httpx
import psutil
from cryptography.fernet import Fernet

from tests.tools.airflow_env import PATH, ROOT
from tests.tools.awaiting import wait_for
from tests.tools.compose import services
from tests.tools.scheduler import Scheduler
from tests.tools.sessions import KILLED_SECONDS, Sessions
from tests.tools.stores import Postgres, Redis, Store
from tests.tools.up import api, free_port

USER = "admin"
# Where clusters have their folders.
PREFIX = "currents-cluster-"
AIRFLOW = ("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
# Compose's own default: https://docs.docker.com/reference/compose-file/services/#stop_grace_period
GRACE_SECONDS = 10.0
START_SECONDS = 600.0
# Each part has its own folder for temporary files, in this one of the cluster's.
TEMPORARY = "tmp"


@dataclass
class Part:
    """A service as a process with all its descendants. It is started again when it ends by itself."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    sessions: Sessions
    grace: float = GRACE_SECONDS
    # The services that it depends on.
    needs: Collection[str] = ()
    process: subprocess.Popen[bytes] | None = None
    is_wanted: bool = False
    restarts: int = 0
    # Whether it ever took longer to stop than its grace period, and was killed.
    was_overdue: bool = False
    # One at a time starts or ends it: what revives it would otherwise wait for, or end, a process that began meanwhile.
    _turn: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def start(self) -> None:
        """Starts it, in a session of its own, as in a container."""
        with self._turn, self.log.open("ab") as sink:
            self.is_wanted = True
            self.process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.sessions.begin(self.process.pid)

    def run(self) -> int:
        """Starts it, waits for its end, and returns its exit code. It is not started again."""
        self.start()
        self.is_wanted = False
        return self._running.wait()

    def stop(self) -> None:
        """Stops it as `docker stop` does: SIGTERM to every process, SIGKILL after the grace period."""
        with self._turn:
            self.is_wanted = False
            # The number of one that has ended may be somebody else's.
            if self._running.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._running.pid, signal.SIGTERM)
            try:
                self._running.wait(self.grace)
            except subprocess.TimeoutExpired:
                self.was_overdue = True
            self._end()

    def kill(self) -> None:
        """Kills every process of it at once, as when the machine is lost."""
        with self._turn:
            self.is_wanted = False
            self._end()

    def revive(self) -> None:
        """Starts it again, if it ended by itself. What somebody else is starting or stopping is left to them."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            if self.is_wanted and self._running.poll() is not None:
                self._end()
                self.restarts += 1
                self.start()
        finally:
            self._turn.release()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process, f"{self.name} was not started"
        return self.process

    def _end(self) -> None:
        """Kills what is left of it, those whose parents are gone among them."""
        self.sessions.end_with(self._running)


@dataclass
class Cluster:
    """A running Airflow with workers of its own; ``parts`` by the name of their service, workers with a number."""

    home: Path
    sessions: Sessions
    password: str
    port: int
    postgres: Postgres
    redis: Redis
    parts: dict[str, Part] = field(default_factory=dict)
    # What ran before the parts, to its end.
    init: Part | None = None
    checks: dict[str, Sequence[str]] = field(default_factory=dict)

    @property
    def workers(self) -> list[Part]:
        """The workers, in their order."""
        return [part for name, part in self.parts.items() if name.startswith("airflow-worker")]

    def check(self, name: str) -> bool:
        """Whether a part is healthy, by the health check of its service, which may take as long as there."""
        done = subprocess.run(
            self.checks[name], env=dict(self.parts[name].environment), capture_output=True, check=False
        )
        return done.returncode == 0

    def processes(self) -> list[psutil.Process]:
        """All processes of parts and stores."""
        servers: list[Part | Store] = [*self.parts.values(), self.postgres, self.redis]
        found = []
        for each in servers:
            if each.process:
                with suppress(psutil.NoSuchProcess):
                    first = psutil.Process(each.process.pid)
                    found += [first, *first.children(recursive=True)]
        return found

    def client(self) -> AbstractContextManager[httpx.Client]:
        """Airflow's public API, logged in as the administrator."""
        return api(self.port, {"username": USER, "password": self.password})

    def scheduler(self, client: httpx.Client) -> Scheduler:
        """Its Airflow, as tests ask it through a client."""
        return Scheduler(client, self.port, self.parts["airflow-apiserver"].log)

    def revive(self) -> None:
        """Starts again what ended by itself, as compose does."""
        for part in self.parts.values():
            part.revive()


def leftovers(folder: Path) -> list[Path]:
    """What nobody has removed from a folder for temporary files.

    But for folders of Python's multiprocessing, which nothing is in: a Celery worker that is killed leaves one.
    """
    return [path for path in folder.rglob("*") if not path.name.startswith("pymp-") or any(path.iterdir())]


@contextmanager
def cluster(
    environment: Mapping[str, str],
    *,
    workers: int = 2,
    dag: str,
    port: int | None = None,
    of_part: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Cluster]:
    """Starts all of it, waits until a DAG is there and every part is healthy, and stops all of it at the end.

    ``environment`` is what .env would say, and what else all parts are to see; ``of_part`` is for single ones. ``port``
    is that of the UI, any free one by default.
    """
    for forsaken in Sessions.forsaken(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")):
        forsaken.end_all()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        home = Path(folder)
        # Postgres runs as a user of its own, who has to get at its folder.
        home.chmod(0o711)
        running = _Maker(home, environment, workers, port or free_port()).cluster
        for name, own in (of_part or {}).items():
            running.parts[name].environment = {**running.parts[name].environment, **own}
        try:
            with _started(running), _watched(running):
                wait_for(START_SECONDS, lambda: _is_ready(running, dag))
                yield running
        finally:
            left = running.sessions.end_all()
        servers: dict[str, Part | Store] = {**running.parts, "postgres": running.postgres, "redis": running.redis}
        overdue = {name: each.log.read_text()[-2000:] for name, each in servers.items() if each.was_overdue}
        assert not left, f"the cluster left {left}"
        assert not overdue, f"did not stop in time, and how their logs end: {overdue}"
        files = [path for folder in (home / TEMPORARY).iterdir() for path in leftovers(folder)]
        assert not files, f"the cluster left {files}"


@contextmanager
def _started(running: Cluster) -> Iterator[None]:
    stores: list[Store] = [running.postgres, running.redis]
    try:
        for store in stores:
            store.start()
        running.init = init = running.parts.pop("airflow-init")
        if init.run():
            raise RuntimeError(f"airflow-init failed:\n{init.log.read_text()[-2000:]}")
        for part in running.parts.values():
            part.start()
        yield
    finally:
        stop({name: part for name, part in running.parts.items() if part.process})
        for store in reversed(stores):
            store.stop()


def stop(parts: Mapping[str, Part]) -> None:
    """Stops parts as compose does: none before those that depend on it, and together those that wait for nobody."""
    order = TopologicalSorter({name: [other for other, part in parts.items() if name in part.needs] for name in parts})
    order.prepare()
    while names := order.get_ready():
        stopping = [threading.Thread(target=parts[name].stop) for name in names]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        order.done(*names)


@contextmanager
def _watched(running: Cluster) -> Iterator[None]:
    """What `restart: unless-stopped` does."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.5):
            try:
                running.revive()
            except Exception:  # noqa: BLE001 - one that can't be started now is tried again, and others go on
                traceback.print_exc()

    # Whatever it hangs at must not keep the rest from ending.
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(KILLED_SECONDS)


def _is_ready(running: Cluster, dag: str) -> bool:
    try:
        with running.client() as client:
            if client.get(f"dags/{dag}").status_code != 200:
                return False
    except (httpx.HTTPError, KeyError):
        return False
    return all(running.check(name) for name in running.checks)


class _Maker:
    """Makes the parts from the services of docker-compose.yaml."""

    def __init__(self, home: Path, environment: Mapping[str, str], workers: int, port: int) -> None:
        self.home, self.sessions = home, Sessions(home)
        self.password = secrets.token_hex(16)
        self.ports = {"api": port, **{name: free_port() for name in ("health", "postgres", "redis")}}
        # What .env would have.
        secret = {name: secrets.token_hex(32) for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD")}
        keys = {
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "_AIRFLOW_WWW_USER_USERNAME": USER,
            "_AIRFLOW_WWW_USER_PASSWORD": self.password,
            "CURRENTS_CONNECTORS": "/opt/airflow/include/connectors.yaml",
        }
        self.told = {**secret, **keys, **environment}
        self.services = services(self.told)
        self.cluster = Cluster(
            home,
            self.sessions,
            self.password,
            self.ports["api"],
            Postgres(home / "postgres", self.ports["postgres"], self.told["POSTGRES_PASSWORD"], self.sessions),
            Redis(home / "redis", self.ports["redis"], self._command("redis"), self.sessions),
        )
        names = {name: name for name in ("airflow-init", *AIRFLOW)}
        names |= {f"airflow-worker-{number}": "airflow-worker" for number in range(1, workers + 1)}
        (home / "airflow").mkdir()
        for name, service in names.items():
            (home / TEMPORARY / name).mkdir(parents=True)
            self.cluster.parts[name] = self._part(name, service)
            if name != "airflow-init":
                self.cluster.checks[name] = self._check(service)

    def _part(self, name: str, service: str) -> Part:
        grace = _seconds(self.services[service].get("stop_grace_period", f"{GRACE_SECONDS:g}s"))
        command = self._command(service)
        # The image's entry point takes subcommands of Airflow, or a shell.
        command = command if command[0] == "bash" else ["airflow", *command]
        if service == "airflow-worker":
            command += ["--celery-hostname", name]
        if service in ("airflow-worker", "airflow-triggerer"):
            # Its server of logs listens everywhere. All parts share one folder of logs, as they share a volume in
            # compose, so nobody asks that server.
            command += ["--skip-serve-logs"]
        log = self.home / f"{name}.log"
        environment = self._environment(name, service) | {"HOSTNAME": name}
        needs = self.services[service].get("depends_on", ())
        return Part(name, command, environment, log, self.sessions, grace, needs)

    def _command(self, service: str) -> list[str]:
        command = self.services[service]["command"]
        return [self._here(word) for word in (command.split() if isinstance(command, str) else command)]

    def _check(self, service: str) -> Sequence[str]:
        check = self.services[service]["healthcheck"]
        kind, *words = check["test"]
        text = self._here(words[0] if kind == "CMD-SHELL" else " ".join(words))
        return ["timeout", "--kill-after=1", f"{_seconds(check['timeout']):g}", "sh", "-c", text]

    def _environment(self, name: str, service: str) -> dict[str, str]:
        """What the service says, with the addresses and folders of this machine."""
        given = self.services[service]["environment"]
        # One without a value is handed on as it is, if it is set.
        said = {name: self.told.get(name) if value is None else value for name, value in given.items()}
        here = {name: self._here(value) for name, value in said.items() if value is not None}
        port = str(self.ports["api"])
        return {
            **here,
            "PATH": PATH,
            **{name: value for name, value in self.told.items() if name.startswith("AIRFLOW__")},
            "AIRFLOW_HOME": str(self.home / "airflow"),
            "TMPDIR": str(self.home / TEMPORARY / name),
            # Everything listens on the loopback alone, and beside other clusters.
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": port,
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.ports["health"]),
        }

    def _here(self, text: Any) -> str:
        """A text of a service with the addresses and folders of this machine."""
        found = str(text)
        for name, value in {
            "@postgres/": f"@127.0.0.1:{self.ports['postgres']}/",
            "@redis:6379/": f"@127.0.0.1:{self.ports['redis']}/",
            "airflow-apiserver:8080": f"127.0.0.1:{self.ports['api']}",
            "localhost:8080": f"127.0.0.1:{self.ports['api']}",
            "localhost:8974": f"127.0.0.1:{self.ports['health']}",
            "/opt/airflow/": f"{ROOT}/",
        }.items():
            found = found.replace(name, value)
        return found


def _seconds(duration: str) -> float:
    """A duration of compose, in seconds: `1m` or `30s`."""
    return float(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]
