"""Plants mistakes in the core, one at a time, and tells which of them no test notices.

    python -m tests.tools.mutation_run SEED COUNT           fails where fewer than 85 % are killed
    python -m tests.tools.mutation_run SEED COUNT TEXT      only those of them whose names have the text

Each mutant has a process of its own, forked from one that has loaded the libraries. It runs the tests that reach the
line, those of its own module first, until one fails or takes far too long. The last are histories of the simulation.
``equivalent_mutants.toml`` names the mutants that no test can notice, and why; they are never chosen.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from importlib.machinery import SourceFileLoader
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType
from typing import Literal
from unittest.mock import patch

import pytest
from hypothesis import Phase, settings

from tests.tools.airflow_env import ROOT
from tests.tools.mutation import Mutant, mutants_of, sample
from tests.tools.mutation_reach import Project, Reach, measure

Verdict = Literal["killed", "timed out", "survived", "not reached"]

CORE = Project(
    root=ROOT,
    sources=ROOT / "include",
    packages=[f"currents_core/{room}" for room in ("books", "sending", "delivering")],
    tests=[
        *(f"tests/include/currents_core/{room}" for room in ("books", "sending", "delivering", "finding")),
        "tests/simulation/test_simulation.py::test_every_promise_is_kept_in_every_history[0]",
    ],
    without=[
        f"tests/include/currents_core/delivering/{each}"
        for each in (
            "test_hostile.py",
            "test_personal_data_everywhere.py",
            "test_deliver.py::test_thousands_of_tiny_files_share_their_requests",
            "test_redrive.py::test_however_often_redrives_end_early_nothing_is_lost_or_sent_twice",
        )
    ],
)
EQUIVALENT = Path(__file__).parent / "equivalent_mutants.toml"
ENOUGH = 0.85
_PROCESSES = 2
# How many examples a property test tries that does not say it itself.
_EXAMPLES = 25
# A test that never ends, or hangs, ends the process: after so many seconds of processor time, or of any time, and so
# many times what it takes without the mistake. Others may keep the machine busy.
_WORKS, _HANGS, _TIMES = 5.0, 120.0, 10.0
# The most memory that a mutant may take on top of what is loaded, in bytes.
_MEMORY = 4_000_000_000
_OPTIONS = (
    *("-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", "--tb=no", "--hypothesis-profile=mutants"),
    # Hypothesis is loaded before pytest is.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)


@dataclass(frozen=True)
class Judged:
    """A mutant, and what its tests said."""

    mutant: Mutant
    verdict: Verdict

    @property
    def lives(self) -> bool:
        """Whether no test noticed."""
        return self.verdict in ("survived", "not reached")


def main(seed: int, count: int, text: str = "") -> int:
    """Returns 1 if too many mutants survive."""
    os.nice(19 - os.nice(0))
    began = time.monotonic()
    known = equivalents(EQUIVALENT.read_text("utf-8"))
    everything = [mutant for path in CORE.modules for mutant in mutants_of(path, CORE.sources)]
    if stale := known - {mutant.name for mutant in everything}:
        sys.exit(f"{EQUIVALENT.name} names what is no mutant any more; remove it: {sorted(stale)}")
    chosen = sample((mutant for mutant in everything if mutant.name not in known), seed, count)
    judged = []
    for each in judge(CORE, [mutant for mutant in chosen if text in mutant.name]):
        judged.append(each)
        print(f"{each.verdict:11}  {each.mutant.name}", flush=True)
    print(report(judged, CORE.root, time.monotonic() - began))
    return not is_enough(judged)


def equivalents(text: str) -> set[str]:
    """The names of the mutants that no test can notice. Raises KeyError where the reason is missing."""
    return {each["mutant"] for each in tomllib.loads(text)["equivalent"] if each["reason"]}


def is_enough(judged: Sequence[Judged]) -> bool:
    """Whether enough mutants were killed."""
    return sum(not each.lives for each in judged) >= len(judged) * ENOUGH


def report(judged: Sequence[Judged], root: Path, seconds: float) -> str:
    """The survivors with their places and diffs, and the figures."""
    alive = [each for each in judged if each.lives]
    used = os.times()
    told = [
        f"\n{each.mutant.path.relative_to(root)}:{each.mutant.lines.start} {each.verdict}\n{each.mutant.diff(root)}"
        for each in sorted(alive, key=lambda each: (each.mutant.path, each.mutant.start))
    ]
    killed, timed_out = len(judged) - len(alive), sum(each.verdict == "timed out" for each in judged)
    told.append(
        f"\n{len(judged)} mutants, {killed} killed ({timed_out} of them timed out), {len(alive)} survived: "
        f"{killed / max(1, len(judged)):.1%} killed; {seconds:,.0f} s, "
        f"{used.children_user + used.children_system:,.0f} s of processor time"
    )
    return "\n".join(told)


def judge(project: Project, mutants: Iterable[Mutant]) -> Iterator[Judged]:
    """What becomes of each mutant, in the order in which that is known. Raises RuntimeError if a test fails anyway."""
    settings.register_profile(
        "mutants",
        deadline=None,
        derandomize=True,
        database=None,
        max_examples=_EXAMPLES,
        phases=(Phase.explicit, Phase.generate),
    )
    _load_libraries(project)
    reach = _measured(project)
    waiting, running = iter(mutants), dict[int, Mutant]()
    try:
        while True:
            while len(running) < _PROCESSES and (mutant := next(waiting, None)):
                if tests := reach.tests(mutant):
                    running[_fork(partial(_run, mutant, tests, reach.seconds))] = mutant
                else:
                    yield Judged(mutant, "not reached")
            if not running:
                return
            process, status = os.wait()
            _end(process)
            yield Judged(running.pop(process), _verdict(status))
    finally:
        for process in running:
            _end(process)


def _load_libraries(project: Project) -> None:
    """Loads what the tests load, and forgets what is the project's own: that is loaded again, with a mistake."""
    with redirect_stdout(StringIO()):
        pytest.main([*_OPTIONS, "--collect-only", *project.chosen])
    for name, module in list(sys.modules.items()):
        path = Path(getattr(module, "__file__", None) or "/")
        if name != "__main__" and path.is_relative_to(project.root) and "site-packages" not in path.parts:
            del sys.modules[name]
    # Each child would look at all of it again.
    gc.freeze()


def _measured(project: Project) -> Reach:
    with TemporaryDirectory() as folder:
        found = Path(folder, "reach")
        _, status = os.waitpid(_fork(partial(measure, project, _OPTIONS, found)), 0)
        if status:
            raise RuntimeError("a test fails without any mistake: run the tests by themselves")
        return Reach.read(found)


def _fork(work: Callable[[], int]) -> int:
    """Has a child do the work, in silence and in a process group of its own, and exit with what that returns."""
    sys.stdout.flush()
    if process := os.fork():
        return process
    code = 3
    try:
        os.setpgid(0, 0)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        code = work()
    finally:
        os._exit(code)


def _end(process: int) -> None:
    """Ends what is left of a child and of the processes that it began."""
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


def _run(mutant: Mutant, tests: Iterable[Sequence[str]], seconds: Mapping[str, float]) -> int:
    """Runs tests with a mistake planted, part by part, until one fails. Returns pytest's exit code."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _MEMORY, size + _MEMORY))
    _Alarm.set()
    _plant(mutant)
    return next(filter(None, (int(pytest.main([*_OPTIONS, *part], plugins=[_Alarm(seconds)])) for part in tests)), 0)


def _plant(mutant: Mutant) -> None:
    code_of = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> CodeType | None:
        if loader.path != str(mutant.path):
            return code_of(loader, name)
        return compile(mutant.source, loader.path, "exec", dont_inherit=True)

    patch.object(SourceFileLoader, "get_code", get_code).start()


class _Alarm:
    """Ends the process when a test takes far longer than it did without the mistake."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = seconds

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.set(self._seconds[nodeid])

    @staticmethod
    def set(seconds: float = 0.0) -> None:
        """Gives the process some time from now on, for what takes so many seconds without the mistake."""
        signal.setitimer(signal.ITIMER_PROF, _WORKS + _TIMES * seconds)
        signal.setitimer(signal.ITIMER_REAL, _HANGS + _TIMES * seconds)


def _verdict(status: int) -> Verdict:
    if os.WIFSIGNALED(status):
        return "timed out" if os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM) else "killed"
    return "killed" if os.WEXITSTATUS(status) else "survived"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
