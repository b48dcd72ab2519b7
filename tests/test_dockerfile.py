"""The Dockerfile, as its linter sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tools.airflow_env import ROOT

HADOLINT = Path(sys.executable).parent / "hadolint"


def findings(dockerfile: Path) -> list[dict[str, Any]]:
    """What hadolint has to say of a Dockerfile."""
    found = subprocess.run([HADOLINT, "--format", "json", dockerfile], capture_output=True, text=True, check=False)
    told: list[dict[str, Any]] = json.loads(found.stdout)
    return told


@pytest.fixture(autouse=True)
def hadolint() -> None:
    """Skips where the binary, which its wheel has for some machines only, does not run."""
    try:
        subprocess.run([HADOLINT, "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the Dockerfile is not linted here, since hadolint does not run: {error}")


def test_the_dockerfile_has_no_findings() -> None:
    assert findings(ROOT / "Dockerfile") == []


def test_a_finding_is_told(tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM python\nRUN pip install moto\n")
    assert {finding["code"] for finding in findings(dockerfile)} >= {"DL3006", "DL3013"}
