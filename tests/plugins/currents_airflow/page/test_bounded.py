"""Questions that are answered in a process of their own, on real books."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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


def test_what_a_process_leaves_is_removed_however_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(_words: Sequence[str], _output: int, folder: str) -> str:
        Path(folder, "currents-find-1").write_text("a file of the source")
        folders.append(folder)
        raise TransientError("no answer")

    folders: list[str] = []
    monkeypatch.setattr(bounded, "_run", leave)
    with pytest.raises(TransientError, match="no answer"):
        answer("find", "--json", "--", "x")
    assert [Path(each).exists() for each in folders] == [False]


def test_what_nobody_expected_is_in_the_log_and_not_in_the_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bounded, "_run", lambda *_: "Traceback (most recent call last):\nValueError: a value")
    with pytest.raises(CurrentsError, match="the log of the API server has the reason"):
        answer("find", "--json", "--", "x")
    assert "a value" in caplog.text
