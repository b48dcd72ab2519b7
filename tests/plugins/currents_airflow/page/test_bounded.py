"""Questions that are answered in a process of their own, on real books."""

from __future__ import annotations

import pytest

from currents_airflow.page import bounded
from currents_airflow.page.bounded import answer
from currents_core.errors import CurrentsError, TransientError
from tests.plugins.currents_airflow.cli.conftest import HOUR, Told, told

__all__ = ["told"]


def test_it_answers_what_the_command_answers(told: Told) -> None:
    [found] = answer("find", "--connector", "orders", "--json", "--", "x")
    assert [(each["fate"], each["hour"]) for each in found["places"]] == [("accepted", HOUR)]
    [found] = answer("find", "--connector", "orders", "--json", "--", "--no-such-event")
    assert found["places"] == []


def test_samples_have_no_personal_data(told: Told) -> None:
    [found] = answer("letters", "--connector", "orders", "--json", "--code=no_id", HOUR)
    [letter] = found["letters"]
    assert letter["code"] == "no_id"
    assert letter["record"]["id"] is None


def test_a_fault_is_its_own_line(told: Told) -> None:
    with pytest.raises(CurrentsError, match="'yesterday' is no day"):
        answer("find", "--connector", "orders", "--json", "--day", "yesterday", "--", "x")


def test_what_takes_too_long_is_ended(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "_SECONDS", 0.2)
    with pytest.raises(TransientError, match="no answer within"):
        answer("find", "--connector", "orders", "--json", "--", "x")
    monkeypatch.undo()


def test_so_many_are_answered_at_a_time(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "_SECONDS", 0.1)
    assert bounded._room.acquire(blocking=False)
    assert bounded._room.acquire(blocking=False)
    try:
        with pytest.raises(TransientError, match="other questions are still being answered"):
            answer("find", "--json", "--", "x")
    finally:
        bounded._room.release()
        bounded._room.release()
