"""The disks to which workers fetch files, and that run full: small ones where mounting is allowed, else pretended."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.tools.airflow_env import ROOT

# Twice what tasks leave free.
BYTES = 1 << 30
INJECTED = Path(__file__).parent / "injected"


@dataclass(frozen=True)
class Disk:
    """The folder for temporary files of a worker, and whether it is a disk of its own."""

    folder: Path
    is_mounted: bool

    @property
    def environment(self) -> dict[str, str]:
        """What the worker's environment has to have."""
        injected = {} if self.is_mounted else {"PYTHONPATH": f"{INJECTED}:{ROOT / 'include'}:{ROOT / 'plugins'}"}
        return {"TMPDIR": str(self.folder), **injected}

    def fill(self) -> None:
        """Leaves no room on it."""
        # Without a buffer, of which a rest would be written once more, and fail once more, when the file is closed.
        with self._filler.open("wb", buffering=0) as file, suppress(OSError):
            while self.is_mounted:
                file.write(bytes(1 << 20))

    def clear(self) -> None:
        """Takes away what fills it."""
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        # The injected module looks for this very name.
        return self.folder / "filler"


@contextmanager
def disks(count: int) -> Iterator[Sequence[Disk]]:
    """Makes as many disks, and removes them with all that is on them."""
    with ExitStack() as stack:
        made = []
        for _ in range(count):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="currents-disk-")))
            is_mounted = _run("mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", folder)
            if is_mounted:
                stack.callback(_run, "umount", "--lazy", folder)
            made.append(Disk(folder, is_mounted))
        yield made


def _run(*command: str | Path) -> bool:
    with suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False
