"""Waits: for what is told to a callback from another thread, and for what becomes true."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

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


def wait_for(seconds: float, condition: Callable[[], Any]) -> Any:
    """What the condition gives, as soon as it is something. Raises AssertionError where it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"not within {seconds} seconds")
