"""The bill of materials that `make sbom` writes: valid, the same each time, and of every package of the lock."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from tests.test_packaging import PROJECT, lines_of, parsed
from tests.tools.airflow_env import ROOT


def made(path: Path) -> str:
    # `-o install`: the tests have what it would install.
    subprocess.run(["make", "-o", "install", "sbom", f"SBOM={path}"], cwd=ROOT, check=True, capture_output=True)
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def sbom(tmp_path_factory: pytest.TempPathFactory) -> str:
    return made(tmp_path_factory.mktemp("sbom") / "sbom.json")


def test_it_is_valid_and_a_spoilt_one_is_not(sbom: str) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(sbom) is None
    assert validator.validate_str(sbom.replace('"library"', '"libary"')) is not None


def test_it_has_every_package_of_the_lock_in_its_version_and_no_other(sbom: str) -> None:
    locked = {
        name: str(each.specifier).removeprefix("==") for name, each in parsed(lines_of("requirements.lock")).items()
    }
    components = json.loads(sbom)["components"]
    assert {canonicalize_name(each["name"]): each["version"] for each in components} == locked
    assert {each["purl"] for each in components} == {f"pkg:pypi/{name}@{version}" for name, version in locked.items()}


def test_it_is_of_this_project(sbom: str) -> None:
    root = json.loads(sbom)["metadata"]["component"]
    assert (root["name"], root["version"]) == (PROJECT["name"], PROJECT["version"])


def test_it_is_the_same_each_time(sbom: str, tmp_path: Path) -> None:
    assert made(tmp_path / "again.json") == sbom
