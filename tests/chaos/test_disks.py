"""That disks run full, those that are mounted and those that only pretend."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.chaos import disks as disks_module
from tests.chaos.disks import Disk, disks

FREE = "import os, shutil; print(shutil.disk_usage(os.environ['TMPDIR']).free)"


def free(disk: Disk) -> int:
    """What a worker finds free on it."""
    told = subprocess.run(
        [sys.executable, "-c", FREE], env={**os.environ, **disk.environment}, capture_output=True, check=True
    )
    return int(told.stdout)


@pytest.mark.parametrize("may_mount", [True, False])
def test_a_disk_is_full_until_it_is_cleared(monkeypatch: pytest.MonkeyPatch, may_mount: bool) -> None:
    if not may_mount:
        monkeypatch.setattr(disks_module, "_run", lambda *_command: False)
    # The test has to be quick.
    monkeypatch.setattr(disks_module, "BYTES", 4 << 20)
    with disks(2) as made:
        disk, other = made
        assert free(disk) > 0
        disk.fill()
        assert free(disk) == 0
        assert free(other) > 0
        disk.clear()
        assert free(disk) > 0
    assert not disk.folder.exists()
