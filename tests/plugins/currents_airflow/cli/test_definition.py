from __future__ import annotations

import subprocess
import sys

import pytest

from currents_airflow.__main__ import main
from currents_airflow.cli import find, letters, source
from tests.tools.airflow_env import ROOT

HEAVY = ("pandas", "pyarrow", "numpy", "boto3")


def test_knowing_the_commands_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from currents_airflow.cli.definition import commands\n"
        "[group] = commands()\n"
        "print([each.name for each in group.subcommands])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{ROOT}/include:{ROOT}/plugins", "PATH": "", "AIRFLOW_HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-2:] == ["['validate', 'status', 'find', 'letters', 'source']", "[]"]


@pytest.mark.parametrize("days", ["0", "-3", "401", "1000000", "seven", ""])
def test_only_so_many_days_have_a_status(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["status", f"--days={days}"])
    assert "from 1 to 400" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["find", "--day", "9999-12-31", "x"], "is no day"),
        (["find", "--day", "0001-01-01", "x"], "is no day"),
        (["source", "--day", "9999-12-31"], "is no day"),
        (["letters", "9999-12-31-23"], "is not a valid hour"),
        (["find", "\udcff"], "no text in UTF-8"),
    ],
)
def test_what_can_not_be_asked_for_is_one_line(words: list[str], fault: str) -> None:
    with pytest.raises(SystemExit, match=fault):
        main(words)


def test_texts_of_events_have_no_signs_that_a_terminal_obeys() -> None:
    hostile = "a\x1b]0;title\x07\nforged: line"
    told = {"event_type": hostile, "code": "no_id", "reason": hostile, "file": hostile, "row": 1, "record": {}}
    letter = {**told, "attempts": 1, "first_at": "", "last_at": ""}
    place = {**told, "fate": "accepted", "hour": "2026-11-23-08", "run": "", "kind": "", "at": ""}
    gap = {"event_type": hostile, "partition": 1, "missing": 2, "after": hostile, "before": hostile}
    found = {"connector": "orders", "hour": "2026-11-23-08", "first": "a", "last": "b", "date": "a", "files": 1}
    for text in (
        letters.text({**found, "letters": [letter]}),
        find.text({**found, "places": [place], "source": None}),
        source.text({**found, "gaps": [gap]}),
    ):
        assert "\x1b" not in text
        assert not [line for line in text.splitlines() if line.startswith("forged")]
