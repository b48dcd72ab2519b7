from __future__ import annotations

import json

import pytest

from currents_airflow.__main__ import main
from tests.plugins.currents_airflow.cli.conftest import Told


def test_a_file_without_a_fault_is_said_to_be_so(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    main(["validate"])
    assert capsys.readouterr().out == f"ok: {told.path}: 1 connector without a fault in the file\n"


def test_every_fault_is_told_and_ends_with_1(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    told.path.write_text(told.path.read_text().replace("kind: event_bus", "kind: event_buss"))
    with pytest.raises(SystemExit, match="1"):
        main(["validate"])
    assert "error: " in capsys.readouterr().out


def test_live_everything_is_tried_and_nothing_is_sent(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    before = len(told.house.target.accepted)
    main(["validate", "--live"])
    text = capsys.readouterr().out
    assert f"ok: orders: source: s3://{told.bucket}/in/ has 1 event type, of which 1 are exported" in text
    assert "ok: orders: state: " in text
    assert "ok: orders: bus: " in text
    assert len(told.house.target.accepted) == before


def test_live_each_thing_that_is_wrong_is_named(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    text = told.path.read_text().replace("name: bus", "name: no-such-bus").replace("prefix: in/", "prefix: out/")
    told.path.write_text(text + "    event_types: {include: ['users.messages.sms.*']}\n")
    with pytest.raises(SystemExit, match="1"):
        main(["validate", "--live", "--json"])
    found = json.loads(capsys.readouterr().out)
    levels = {each["level"] for each in found}
    assert levels == {"ok", "warning", "error"}
    told_of = " ".join(each["text"] for each in found)
    assert "no-such-bus" in told_of
    assert "matches users.messages.sms.*" in told_of


def test_a_connector_that_there_is_not_is_an_error(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(["validate", "--connector", "other"])
    assert "error: other: there is no connector other" in capsys.readouterr().out


def test_nobody_praises_a_connector_whose_notice_can_not_be_sent(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    told.path.write_text(told.path.read_text() + "    notify: {on_failure: [{notifier: no.such.Notifier}]}\n")
    with pytest.raises(SystemExit, match="1"):
        main(["validate"])
    text = capsys.readouterr().out
    assert "error: connector orders: notify: " in text
    assert "without a fault" not in text


def test_a_file_without_connectors_is_an_error(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    told.path.write_text("connectors: []\n")
    with pytest.raises(SystemExit, match="1"):
        main(["validate"])
    assert capsys.readouterr().out == f"error: there is no connector in {told.path}\n"


def test_a_connector_that_there_is_not_is_told_beside_faults_of_others(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    told.path.write_text(told.path.read_text() + "  - name: broken\n    source: 5\n")
    with pytest.raises(SystemExit, match="1"):
        main(["validate", "--connector", "ordres"])
    assert "there is no connector ordres" in capsys.readouterr().out
