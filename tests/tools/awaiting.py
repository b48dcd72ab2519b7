"""Waits for what is told to a callback from another thread."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Awaited(Generic[T]):
    """A callback; ``result`` gives what it was called with."""

    def __init__(self) -> None:
        self._told: SimpleQueue[T] = SimpleQueue()

    def __call__(self, value: T) -> None:
        self._told.put(value)

    def result(self, timeout: float = 30.0) -> T:
        """What the callback was called with first, waited for. Raises queue.Empty where it is not called in time."""
        return self._told.get(timeout=timeout)
