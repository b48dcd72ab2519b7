from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from currents_aws.dry_run import DryRunTarget, Overlay
from currents_aws.memory import MemoryObjects
from currents_core.entry import Span
from currents_core.errors import FileError, TransientError
from currents_core.limits import EVENT_BUS
from currents_core.ports import SENT
from tests.tools.entries import entries_of


def span(*envelopes: str) -> Span:
    return Span(entries_of(envelopes), 0, len(envelopes))


def test_everything_is_accepted_and_only_counted() -> None:
    target, answers = DryRunTarget(EVENT_BUS), list[Any]()
    target.preflight()
    target.send([span("{}", '{"a":1}'), span("{}")], answers.append)
    target.send([span("{}")], answers.append)
    target.close()
    assert answers == [[SENT] * 3, [SENT]]
    assert (target.forecast.events, target.forecast.requests) == (4, 2)


def test_what_is_missing_because_a_delivery_replaced_it_is_no_fault_of_the_state() -> None:
    below = MemoryObjects(contents={"head": b"names a"})
    overlay = Overlay(below)
    overlay.write_version("head", b"a claim", below.etag("head"))
    with pytest.raises(FileError):
        overlay.download("a", None, BytesIO())
    below.write("head", b"names b")
    with pytest.raises(TransientError, match="a delivery replaced it while this was a dry run"):
        overlay.download("a", None, BytesIO())


def test_what_nobody_reads_takes_no_memory() -> None:
    below = MemoryObjects(contents={"large/a": b"there"})
    overlay = Overlay(below, lambda key: key.startswith("large/"))
    overlay.write("large/b", b"x")
    overlay.write("small/b", b"x")
    assert (overlay.read("large/b"), overlay.read("small/b"), overlay.read("large/a")) == (None, b"x", b"there")
    assert below.contents == {"large/a": b"there"}
