"""Which tests reach which lines of a project, and how long each takes."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from coverage import Coverage

from tests.tools.mutation import Mutant


@dataclass(frozen=True)
class Project:
    """What is mutated, and the tests that should notice: folders or ids below ``root``, as pytest takes them.

    ``without`` are beginnings of the ids of tests that find too little for the time that they take.
    """

    root: Path
    sources: Path
    packages: Sequence[str]
    tests: Sequence[str]
    without: Sequence[str] = ()

    @property
    def chosen(self) -> list[str]:
        """The tests, as arguments of pytest."""
        return [*self.tests, *(f"--deselect={each}" for each in self.without)]

    @property
    def modules(self) -> list[Path]:
        """The modules that are mutated."""
        return sorted(path for package in self.packages for path in (self.sources / package).rglob("*.py"))


@dataclass(frozen=True)
class Reach:
    """The seconds that each test took, and the tests that reached each line of a module."""

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]

    @classmethod
    def read(cls, path: Path) -> Reach:
        """What ``measure`` wrote."""
        return cls(*pickle.loads(path.read_bytes()))

    def tests(self, mutant: Mutant) -> list[list[str]]:
        """The tests that a mutant may change, the quickest first: those of its own module, and then the others.

        What runs on import changes all that the module does.
        """
        lines = self.lines.get(str(mutant.path), {})
        reached = {test for line in mutant.lines for test in lines.get(line, ())}
        if "" in reached:
            reached = {test for tests in lines.values() for test in tests if test}
        own = {test for test in reached if f"/test_{mutant.path.stem}.py::" in test}
        return [sorted(part, key=lambda test: (self.seconds[test], test)) for part in (own, reached - own) if part]


class _Recorder:
    """Tells coverage which test runs."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        began = time.perf_counter()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.perf_counter() - began


class Chosen:
    """Leaves out tests that start servers: each mutant would have to start its own."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [each for each in items if "running_aws" not in getattr(each, "fixturenames", ())]


def measure(project: Project, options: Sequence[str], into: Path) -> int:
    """Runs the tests of a project, and writes what they reach to a file. Returns pytest's exit code."""
    # Greenlets are the threads of the simulation's processes.
    coverage = Coverage(
        data_file=None, config_file=False, source=[str(project.sources)], concurrency=["thread", "greenlet"]
    )
    recorder = _Recorder(coverage)
    coverage.start()
    code = pytest.main([*options, *project.chosen], plugins=[recorder, Chosen()])
    coverage.stop()
    data = coverage.get_data()
    lines = {str(path): data.contexts_by_lineno(str(path)) for path in project.modules}
    into.write_bytes(pickle.dumps((recorder.seconds, lines)))
    return int(code)
