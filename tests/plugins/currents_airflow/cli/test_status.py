from __future__ import annotations

import json

import pytest

from currents_airflow.__main__ import main
from tests.plugins.currents_airflow.cli.conftest import EARLIER, HOUR, Told


def test_it_says_what_became_of_the_last_days_and_fails_where_somebody_should_look(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(["status", "--days", "2"])
    text = capsys.readouterr().out
    assert "sent 2 of 5 rows; 1 duplicate, 1 filtered, 1 dead-lettered" in text
    assert f"open: {EARLIER}" in text
    assert "dead letters: 1 x no_id, users.messages.email.Open, in 1 hour" in text
    assert f"from Braze: {HOUR}" in text


def test_programs_get_json(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["status", "--connector", "orders", "--json"])
    [found] = json.loads(capsys.readouterr().out)
    assert (found["connector"], found["totals"]["sent"], found["hours"]["complete"]) == ("orders", 2, 1)
    assert found["attention"] == [{"state": "open", "first": EARLIER, "last": EARLIER, "count": 1}]


def test_a_connector_that_there_is_not_is_one_line(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="order"):
        main(["status", "--connector", "order"])
