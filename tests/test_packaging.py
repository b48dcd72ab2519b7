"""What the wheel asks for, what requirements.txt asks for and what is tested go together."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tools.airflow_env import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def parsed(lines: Iterable[str]) -> dict[str, Requirement]:
    """Requirements by name; comments are left out."""
    found = [Requirement(text) for line in lines if (text := line.partition("#")[0].strip())]
    return {canonicalize_name(each.name): each for each in found}


def lines_of(name: str) -> list[str]:
    return (ROOT / name).read_text("utf-8").splitlines()


WHEEL = parsed([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["avro"]])


def test_requirements_are_those_of_the_wheel_with_its_extra() -> None:
    assert parsed(lines_of("requirements.txt")) == WHEEL


def test_only_floors_are_asked_for_so_that_constraints_choose() -> None:
    assert {spec.operator for each in WHEEL.values() for spec in each.specifier} == {">="}
    assert "sqlalchemy" not in WHEEL


def test_the_tested_versions_are_in_the_ranges() -> None:
    locked = parsed(lines_of("requirements.lock"))
    for name, asked in WHEEL.items():
        [exact] = locked[name].specifier
        assert exact.operator == "=="
        assert exact.version in asked.specifier, f"{name} {exact.version} is tested, {asked} is asked for"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index(lock: str) -> None:
    assert [
        line for line in lines_of(lock) if "://" in line or re.match(r"\s*(-i|--\S*index\S*|-f|--find-links)\b", line)
    ] == []


def test_two_locks_never_disagree() -> None:
    run, dev = (parsed(lines_of(lock)) for lock in LOCKS)
    assert {name: (run[name], dev[name]) for name in run.keys() & dev.keys() if run[name] != dev[name]} == {}
