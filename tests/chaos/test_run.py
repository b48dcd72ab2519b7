"""What a run tells where its cluster does not end as it should."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos import run as run_module
from tests.chaos.faults import FAULTS
from tests.chaos.form import SHORT
from tests.chaos.outcome import Outcome

PLAYED = [Outcome(FAULTS[0])]


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cluster of which a part does not stop in time. Returns what its logs are kept for."""

    @contextmanager
    def world(*_: Any) -> Iterator[tuple[Any, None]]:
        yield SimpleNamespace(cluster=SimpleNamespace(home="home")), None
        raise AssertionError("the triggerer did not stop in time")

    kept: list[str] = []
    monkeypatch.setattr(run_module, "_world", world)
    monkeypatch.setattr(run_module, "_keep_logs", kept.append)
    return kept


def play_all(_world: Any, _stage: Any, _form: Any, outcomes: list[Outcome]) -> list[str]:
    outcomes.extend(PLAYED)
    return []


def play_some(_world: Any, _stage: Any, _form: Any, outcomes: list[Outcome]) -> list[str]:
    outcomes.extend(PLAYED)
    raise ConnectionError("nobody answers")


def test_what_did_not_stop_is_one_complaint_beside_the_table(monkeypatch: pytest.MonkeyPatch, late: list[str]) -> None:
    monkeypatch.setattr(run_module, "_play", play_all)
    assert run_module.run(SHORT, 1) == (PLAYED, ["AssertionError('the triggerer did not stop in time')"])
    assert not late


def test_what_ended_a_run_is_one_complaint_beside_the_faults_that_were_played(
    monkeypatch: pytest.MonkeyPatch, late: list[str]
) -> None:
    monkeypatch.setattr(run_module, "_play", play_some)
    assert run_module.run(SHORT, 1) == (PLAYED, ["ConnectionError('nobody answers')"])
    assert late == ["home"]


def test_a_run_that_was_not_played_to_its_end_is_no_table(monkeypatch: pytest.MonkeyPatch, late: list[str]) -> None:
    def play(*_: Any) -> Any:
        raise AssertionError("no task delivers")

    monkeypatch.setattr(run_module, "_play", play)
    with pytest.raises(AssertionError, match="no task delivers"):
        run_module.run(SHORT, 1)
    assert late == ["home"]
