from __future__ import annotations

from shutil import _ntuple_diskusage

import pytest

from currents_core import disk_room
from currents_core.disk_room import RESERVE, require_room
from currents_core.errors import TransientError


def test_what_fits_beside_the_reserve_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_room, "disk_usage", lambda folder: _ntuple_diskusage(10**12, 0, RESERVE + 1_000))
    require_room(1_000, "s3://bucket/key")
    with pytest.raises(
        TransientError, match=r"^s3://bucket/key: no room for its 1,001 bytes in /.*, which has [0-9,]+"
    ):
        require_room(1_001, "s3://bucket/key")
