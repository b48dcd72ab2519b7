from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.tools.awaiting import wait_for
from tests.tools.sessions import Sessions, members


@pytest.fixture
def shell() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a child, in a session of its own."""
    # The second command keeps the shell from becoming the first.
    with subprocess.Popen(["sh", "-c", "sleep 60; true"], start_new_session=True) as process:
        # A child that has just begun is the shell still.
        wait_for(60, lambda: "sleep" in [each.name() for each in members(process.pid)])
        yield process
        for left in members(process.pid):
            left.kill()


def test_a_child_is_an_orphan_once_its_parent_is_gone_and_ends_with_its_session(
    tmp_path: Path, shell: subprocess.Popen[bytes]
) -> None:
    sessions = Sessions(tmp_path)
    sessions.begin(shell.pid)
    assert sessions.orphans() == []
    shell.kill()
    shell.wait()
    assert sessions.orphans() == ["sleep 60"]
    assert sessions.end_all() == ["sleep 60"]
    wait_for(60, lambda: members(shell.pid) == [])
    assert sessions.end_all() == []


def test_what_somebody_left_who_is_gone_is_found_by_the_next(tmp_path: Path, shell: subprocess.Popen[bytes]) -> None:
    Sessions(tmp_path).begin(shell.pid)
    assert list(Sessions.forsaken(iter([tmp_path]))) == [], "its owner is alive"
    path = tmp_path / "sessions.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"owner": shell.pid}))
    [forsaken] = Sessions.forsaken(iter([tmp_path, tmp_path / "none"]))
    assert sorted(forsaken.end_all()) == ["sh -c sleep 60; true", "sleep 60"]


def test_a_number_that_was_given_again_is_somebody_elses(tmp_path: Path, shell: subprocess.Popen[bytes]) -> None:
    Sessions(tmp_path).begin(shell.pid)
    path = tmp_path / "sessions.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"owner": shell.pid, "begun": {shell.pid: 1.0}}))
    [forsaken] = Sessions.forsaken(iter([tmp_path]))
    assert forsaken.end_all() == []
    assert psutil.pid_exists(shell.pid)
