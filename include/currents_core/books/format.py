"""The format of the state: what this worker can read, and how it refuses what it can't."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from currents_core.errors import SetupError

# A worker refuses state whose format is newer than its own.
FORMAT = 2
_GZIP = b"\x1f\x8b"

T = TypeVar("T")


class DamagedError(SetupError):
    """An object of state is not what this project wrote."""


def parsed(body: bytes, uri: str, make: Callable[[Any], T]) -> T:
    """What ``make`` gives for the JSON of an object of state, gzipped or not, whose place is ``uri``.

    Raises SetupError if a newer version of this project wrote it, and DamagedError if it is damaged.
    """

    def known(raw: Any) -> T:
        if raw["format"] <= FORMAT:
            return make(raw)
        raise SetupError(
            f"this state has format {raw['format']}, and this worker knows {FORMAT}: a newer version of Currents "
            "Export wrote it; upgrade this worker",
            uri=uri,
        )

    return sound(body, uri, known)


def sound(body: bytes, uri: str, make: Callable[[Any], T]) -> T:
    """The same, of an object that does not tell its format."""
    try:
        return make(orjson.loads(gzip.decompress(body) if body.startswith(_GZIP) else body))
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, zlib.error) as error:
        raise DamagedError(
            f"this state is damaged ({type(error).__name__}); restore an earlier version of the object", uri=uri
        ) from error
