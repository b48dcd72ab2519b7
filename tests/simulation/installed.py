"""Puts the simulation in place of what the core takes from elsewhere: its reader, and its shaping, which costs most."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any
from unittest.mock import patch

from currents_core.books import claim as claim_module
from currents_core.books import pages as pages_module
from currents_core.books import row_set as row_set_module
from currents_core.books.claim import Claim
from currents_core.delivering import deliver as deliver_module
from currents_core.delivering import keep as keep_module
from currents_core.delivering import prepare as prepare_module
from currents_core.sending import send as send_module
from currents_core.shaping.drift import drift
from currents_core.shaping.encode import encode
from currents_core.shaping.filter import matching
from currents_core.shaping.normalise import normalise
from tests.simulation.books import ViolationError
from tests.simulation.files import events_key, reader, remembering, rows_key
from tests.simulation.oracle import Oracle
from tests.simulation.scheduler import Scheduler
from tests.simulation.store import View

_SHAPING = {
    "normalise": remembering(normalise, rows_key),
    "drift": remembering(drift, rows_key),
    "matching": remembering(matching, events_key),
    "encode": remembering(encode, lambda events, _notes, mode: (events_key(events), mode)),
}


@contextmanager
def installed(seed: int, scheduler: Scheduler, oracle: Oracle) -> Iterator[None]:
    """The core with the simulation's reader, with pages that are small, and with an observer of swaps and of logs."""
    random = Random(seed)
    patches: list[tuple[Any, str, Any]] = [
        (claim_module, "INLINE_IDS", random.choice((0, 1, 3, 8, 1024))),
        (pages_module, "INLINE_BYTES", random.choice((300, 1500, 1 << 16))),
        (row_set_module, "_MANY", random.choice((0, 1, 2_000))),
        (deliver_module, "read", reader(scheduler)),
        *((prepare_module, name, work) for name, work in _SHAPING.items()),
        *((module.log, "exception", _unexpected(oracle)) for module in (keep_module, send_module)),
        *((Claim, name, _observed(getattr(Claim, name), oracle)) for name in ("swap", "finish")),
    ]
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with ExitStack() as stack:
            for owner, name, new in patches:
                stack.enter_context(patch.object(owner, name, new))
            yield
    finally:
        logging.disable(before)


def _observed(step: Any, oracle: Oracle) -> Any:
    def observed(claim: Any, *given: Any, **more: Any) -> Any:
        if isinstance(claim._store, View):
            oracle.asks_to_swap(claim._store.process, claim._key)
        return step(claim, *given, **more)

    return observed


def _unexpected(oracle: Oracle) -> Any:
    def exception(text: str, *given: object) -> None:
        oracle.violation = oracle.violation or ViolationError(f"{text % given}: {sys.exc_info()[1]!r}")

    return exception
