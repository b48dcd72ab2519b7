"""Parts of a cluster end in the order in which compose would end them."""

from __future__ import annotations

import os
from pathlib import Path

from tests.tools.awaiting import wait_for
from tests.tools.cluster import Part, stop
from tests.tools.sessions import Sessions


def test_parts_stop_before_what_they_depend_on(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    sessions = Sessions(tmp_path)

    def part(name: str, seconds: float, needs: tuple[str, ...] = ()) -> Part:
        begun = tmp_path / f"{name}.begun"
        trap = f"trap 'sleep {seconds}; echo {name} >> {ended}; exit' TERM"
        script = f"{trap}; touch {begun}; while :; do sleep 0.05; done"
        made = Part(name, ["sh", "-c", script], os.environ, tmp_path / f"{name}.log", sessions, needs=needs)
        made.start()
        wait_for(60, begun.exists)
        return made

    parts = {
        "api": part("api", 0),
        "worker": part("worker", 2, ("api", "store")),
        "other": part("other", 0, ("api",)),
    }
    try:
        stop(parts)
    finally:
        assert not sessions.end_all()
    assert ended.read_text().split() == ["other", "worker", "api"]
    assert not any(part.was_overdue for part in parts.values())
