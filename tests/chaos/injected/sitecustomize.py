"""Python reads this before all else where the disk of a worker is no small one of its own: it is full when told to."""

import os
import shutil
from pathlib import Path

_real = shutil.disk_usage


def _told(path: int | str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> shutil._ntuple_diskusage:
    found = _real(path)
    return found._replace(free=0) if Path(os.environ["TMPDIR"], "filler").exists() else found


shutil.disk_usage = _told
