from __future__ import annotations

from threading import Event

import pytest

from currents_core.crew import Threads
from currents_core.errors import TransientError
from tests.tools.thread_room import ThreadRoom


def test_a_machine_without_room_for_another_thread_has_the_others_do_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    crew, go = Threads(), Event()
    ThreadRoom(monkeypatch, 1)
    first = crew.start(go.wait, 10)
    second = crew.start(lambda: 2)
    assert not second.done()
    go.set()
    assert first.result()
    assert second.result() == 2


def test_work_that_no_thread_could_do_is_refused_and_never_done_later(monkeypatch: pytest.MonkeyPatch) -> None:
    crew, done = Threads(), list[int]()
    room = ThreadRoom(monkeypatch, 0)
    with pytest.raises(TransientError, match="no room for another thread; raise"):
        crew.start(done.append, 1)
    room.left = 1
    crew.start(done.append, 2).result()
    assert done == [2]


def test_no_work_waits_behind_a_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    crew, end = Threads(), Event()
    ThreadRoom(monkeypatch, 1)

    def beat() -> None:
        end.wait(10)

    first = crew.begin_beat(beat)
    with pytest.raises(TransientError, match="no room for another thread"):
        crew.start(beat)
    with pytest.raises(TransientError, match="no room for another thread"):
        crew.begin_beat(beat)
    end.set()
    first.result()
