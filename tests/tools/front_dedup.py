"""What a custom bus knows of the events that it had in the last five minutes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from hashlib import sha256
from math import inf
from typing import Generic, TypeVar

import orjson

from tests.tools.front_clock import Clock
from tests.tools.front_rules import Entry

WINDOW_SECONDS = 300
CONTENT = ("Source", "DetailType", "Detail", "Resources")

Value = TypeVar("Value")


class Window(Generic[Value]):
    """Keeps a value for each key, for a time that begins when the key is first noted and is not begun anew."""

    def __init__(self, clock: Clock, seconds: float = WINDOW_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._noted: OrderedDict[Hashable, tuple[float, Value]] = OrderedDict()

    def find(self, key: Hashable) -> Value | None:
        """What was noted of a key, unless its time is over."""
        self._forget()
        noted, value = self._noted.get(key, (-inf, None))
        # A clock that was set back may have left what is noted out of order.
        return value if noted > self._clock.seconds() - self._seconds else None

    def note(self, key: Hashable, value: Value) -> None:
        """Keeps a value from here on."""
        self._noted[key] = (self._clock.seconds(), value)

    def _forget(self) -> None:
        begin = self._clock.seconds() - self._seconds
        while self._noted and next(iter(self._noted.values()))[0] <= begin:
            self._noted.popitem(last=False)


def content_id(entry: Entry) -> str:
    """The id of an entry by its content alone, for a request that asks for CONTENT_BASED."""
    return sha256(orjson.dumps([entry.get(name) for name in CONTENT])).hexdigest()
