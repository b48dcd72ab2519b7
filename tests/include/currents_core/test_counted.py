from __future__ import annotations

from currents_core.counted import counted


def test_a_noun_agrees_with_its_count() -> None:
    assert [counted(count, "file") for count in (0, 1, 2, 1200)] == ["0 files", "1 file", "2 files", "1,200 files"]
