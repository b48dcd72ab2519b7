"""Turns: whichever thread brings news handles all news so far, one thread at a time, and none waits for another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

News = TypeVar("News")


class Turn(Generic[News]):
    """Calls ``take`` with the news in order, which removes what it handled and may bring more.

    ``lock`` is held during the call. Whoever holds it for something else delays news until the next is brought.
    """

    def __init__(self, take: Callable[[deque[News]], None]) -> None:
        self.lock = Lock()
        self._take = take
        self._news: deque[News] = deque()

    def bring(self, news: News) -> None:
        """Handles all news, or leaves them to the thread whose turn it is, which looks again after its turn."""
        self._news.append(news)
        while self._news and self.lock.acquire(blocking=False):
            try:
                self._take(self._news)
            finally:
                self.lock.release()
