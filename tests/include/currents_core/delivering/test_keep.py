from __future__ import annotations

from typing import Any

import pytest

from currents_core.books.claim import Claim
from currents_core.delivering import keep
from currents_core.errors import TransientError
from tests.tools.awaiting import wait_for
from tests.tools.house import OPEN, House, table


@pytest.fixture
def merging(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Each slice has pages to be merged once it is through, and shows often that its task is alive."""
    monkeypatch.setattr(Claim, "_is_tidy", staticmethod(lambda _: False))
    monkeypatch.setattr(keep, "_IDLE_SECONDS", 0.01)
    return monkeypatch


def test_a_task_shows_that_it_is_alive_while_it_merges_pages(merging: pytest.MonkeyPatch) -> None:
    house = House()
    file = house.put(OPEN, "a", table(["x"]))
    seen: list[int] = []

    def seq() -> int:
        head = house.ledger.head(file.slice)
        assert head
        return head.seq

    def slow(claim: Claim) -> Any:
        seen.append(seq())
        wait_for(10, lambda: seq() > seen[0] + 2)
        return claim.head

    merging.setattr(Claim, "tidied", slow)
    house.delivery(beat_seconds=0.01).deliver({file.slice: [file]})
    head = house.ledger.head(file.slice)
    assert head
    assert head.owner is None
    assert len(seen) == 1
    assert house.done() == {file.id}


def test_pages_that_can_not_be_merged_stay_and_the_slice_is_given_back(
    merging: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Claim) -> None:
        raise TransientError("SlowDown")

    house = House()
    file = house.put(OPEN, "a", table(["x"]))
    merging.setattr(Claim, "tidied", fail)
    assert house.deliver(file).sent == 1
    head = house.ledger.head(file.slice)
    assert head
    assert head.owner is None
    assert "its pages stay as they are: SlowDown" in caplog.text
