"""A machine that has no room for more threads."""

from __future__ import annotations

from threading import Thread

import pytest


class ThreadRoom:
    """How many more threads the machine has room for, and how many it had none for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self.left = left
        self.refused = 0
        start = Thread.start

        def limited(thread: Thread) -> None:
            if not self.left:
                self.refused += 1
                raise RuntimeError("can't start new thread")
            self.left -= 1
            start(thread)

        monkeypatch.setattr(Thread, "start", limited)
