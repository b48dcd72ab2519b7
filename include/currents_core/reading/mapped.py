"""A file as bytes, of which only what is looked at is read."""

from __future__ import annotations

import mmap
from pathlib import Path


def mapped(path: Path) -> memoryview:
    """The bytes of the file at ``path``, which must not be empty. The file is closed with the last view of them."""
    with path.open("rb") as body:
        return memoryview(mmap.mmap(body.fileno(), 0, access=mmap.ACCESS_READ))
