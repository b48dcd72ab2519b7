"""Parts of a cluster end in the order in which compose would end them."""

from __future__ import annotations

import os
import threading
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


def test_what_is_stopped_and_started_while_it_is_revived_runs_once(tmp_path: Path) -> None:
    is_ending, may_go_on = threading.Event(), threading.Event()

    class Slow(Sessions):
        def end(self, session: int) -> list[str]:
            if not is_ending.is_set():
                is_ending.set()
                may_go_on.wait(30)
            return super().end(session)

    sessions = Slow(tmp_path)
    flag = tmp_path / "ends"
    script = f"if [ -e {flag} ]; then rm {flag}; exit; fi; exec sleep 600"
    flag.touch()
    part = Part("worker", ["sh", "-c", script], os.environ, tmp_path / "log", sessions)
    part.start()
    assert part.process
    part.process.wait(60)

    def restart() -> None:
        part.kill()
        part.start()

    threads = [threading.Thread(target=part.revive, daemon=True), threading.Thread(target=restart, daemon=True)]
    try:
        threads[0].start()
        assert is_ending.wait(30)
        threads[1].start()
        threads[1].join(1)
        may_go_on.set()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        assert part.process.poll() is None
    finally:
        left = sessions.end_all()
        part.process.wait(30)
    assert len(left) == 1, left
