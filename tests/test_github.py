"""What GitHub reads: the workflow and the issue forms, against its own schemas."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.tools.airflow_env import ROOT

READ_BY_GITHUB = {
    "vendor.github-workflows": ["workflows/ci.yml"],
    "vendor.github-issue-forms": ["ISSUE_TEMPLATE/bug.yml", "ISSUE_TEMPLATE/feature.yml"],
    "vendor.github-issue-config": ["ISSUE_TEMPLATE/config.yml"],
}


@pytest.mark.parametrize(("schema", "files"), READ_BY_GITHUB.items(), ids=READ_BY_GITHUB)
def test_github_can_read_it(schema: str, files: list[str]) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files]
    run = subprocess.run(check, cwd=ROOT / ".github", capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_every_file_is_checked() -> None:
    found = {str(path.relative_to(ROOT / ".github")) for path in (ROOT / ".github").rglob("*.yml")}
    assert found == {name for names in READ_BY_GITHUB.values() for name in names}
