"""Room on the disk for temporary files, looked at before much is written there."""

from __future__ import annotations

from shutil import disk_usage
from tempfile import gettempdir

from currents_core.errors import TransientError

# What is left free, in bytes, for other tasks of the machine.
RESERVE = 256 << 20


class NoRoomError(TransientError):
    """The disk for temporary files has no room for something."""


def require_room(size: int, uri: str) -> None:
    """Raises NoRoomError if there is no room for ``size`` bytes, which ``uri`` needs, and a reserve."""
    folder = gettempdir()
    free = disk_usage(folder).free
    if free < size + RESERVE:
        raise NoRoomError(
            f"no room for its {size:,} bytes in {folder}, which has {free:,} bytes free; make room there, or set "
            "TMPDIR to a folder on a larger disk",
            uri=uri,
        )
