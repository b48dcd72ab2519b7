"""Turns: whichever thread brings news takes in all that came, one thread at a time, and none waits for another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

News = TypeVar("News")


class Turn(Generic[News]):
    """``take`` is called with what came, in order, and takes it away; it may bring more.

    ``lock`` is held meanwhile. Whoever holds it for something else keeps what comes waiting, until the next news.
    """

    def __init__(self, take: Callable[[deque[News]], None]) -> None:
        self.lock = Lock()
        self._take = take
        self._news: deque[News] = deque()

    def bring(self, news: News) -> None:
        """Takes in all that came; or leaves it to the thread that is at it, which looks once more after its turn."""
        self._news.append(news)
        while self._news and self.lock.acquire(blocking=False):
            try:
                self._take(self._news)
            finally:
                self.lock.release()
