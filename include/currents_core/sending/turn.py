"""Turns: whichever thread brings news handles all news so far, one thread at a time, and none waits for another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Generic, TypeVar

News = TypeVar("News")

_LOOK_SECONDS = 0.2


class Turn(Generic[News]):
    """Calls ``take`` with the news in order, which removes what it handled and may bring more.

    No call is made while ``held``.
    """

    def __init__(self, take: Callable[[deque[News]], None]) -> None:
        self._lock = Lock()
        self._take = take
        self._news: deque[News] = deque()

    def bring(self, news: News) -> None:
        """Handles all news, or leaves them to the thread whose turn it is, which looks again after its turn."""
        self._news.append(news)
        self._take_all()

    @contextmanager
    def held(self, check: Callable[[], None]) -> Iterator[None]:
        """Keeps others from their turn. News that come meanwhile are handled at the end.

        Whoever has its turn may hang. Meanwhile ``check`` is called, which may raise what ends the waiting.
        """
        while not self._lock.acquire(timeout=_LOOK_SECONDS):
            check()
        try:
            yield
        finally:
            self._lock.release()
        self._take_all()

    def _take_all(self) -> None:
        while self._news and self._lock.acquire(blocking=False):
            try:
                self._take(self._news)
            finally:
                self._lock.release()
