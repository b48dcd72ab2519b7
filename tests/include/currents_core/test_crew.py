from __future__ import annotations

from threading import Event, Thread

import pytest

from currents_core.crew import Threads


class Room:
    """How many more threads a machine has room for."""

    left = 0

    def limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Has no thread started beyond that."""
        start = Thread.start

        def limited(thread: Thread) -> None:
            if not self.left:
                raise RuntimeError("can't start new thread")
            self.left -= 1
            start(thread)

        monkeypatch.setattr(Thread, "start", limited)


def test_a_machine_without_room_for_another_thread_has_the_others_do_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    room, crew, go = Room(), Threads(), Event()
    room.left = 1
    room.limit(monkeypatch)
    first = crew.start(go.wait, 10)
    second = crew.start(lambda: 2)
    assert not second.done()
    go.set()
    assert first.result()
    assert second.result() == 2


def test_work_that_no_thread_could_do_is_refused_and_never_done_later(monkeypatch: pytest.MonkeyPatch) -> None:
    room, crew, done = Room(), Threads(), list[int]()
    room.limit(monkeypatch)
    with pytest.raises(RuntimeError, match="new thread"):
        crew.start(done.append, 1)
    room.left = 1
    crew.start(done.append, 2).result()
    assert done == [2]
