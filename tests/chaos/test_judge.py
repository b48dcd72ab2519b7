"""That what goes wrong would be told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from currents_airflow.operators.retries import delay_after
from currents_core.books.account import Account, Counts
from currents_core.books.head import FileState, Head
from currents_core.delivering import keep
from currents_core.file_key import Slice, SourceFile
from tests.chaos import judge
from tests.chaos.__main__ import parsed
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.form import LONG, SHORT
from tests.chaos.judge import arrived, of_events, of_hour, of_leftovers, of_repeats, of_scheduled
from tests.chaos.outcome import STALE_SECONDS, Outcome, delay
from tests.chaos.run import table
from tests.chaos.stage import CLASSIC, CUSTOM
from tests.chaos.tries import Try

FIRST = Try("path", "deliver", "classic", 1, "running", 0, "id")
EVERY = {fault.name: fault for fault in FAULTS}


def line(event: str, bus: str = CLASSIC, **told: Any) -> dict[str, Any]:
    return {"entry": {"Detail": json.dumps({"id": event})}, "bus": bus, **told}


def outcome(name: str, accepted: int = 0, **told: Any) -> Outcome:
    found = Outcome(EVERY[name], accepted)
    for key, value in told.items():
        setattr(found, key, value)
    return found


def test_buses_know_nothing_of_what_is_unsure_of_another() -> None:
    found = arrived([line("a", cut=True), line("a", CUSTOM), line("a")])
    assert found.repeats == {"classic": [], "custom": []}


def test_what_was_not_heard_of_in_time_counts_apart_where_tries_are_told_to_end_and_else_as_a_repeat() -> None:
    lines = [line("a"), line("b"), line("c"), line("d")]
    found = arrived([*lines, *lines], unheard={1, 2, 3})
    assert found.repeats[CLASSIC] == [(0, 4, False), (1, 5, True), (2, 6, True), (3, 7, True)]
    outcomes = [outcome("task killed", 2), outcome("destination fails", 3), outcome("worker stopped", 4)]
    assert of_repeats(found, outcomes) == []
    assert [each.repeats[CLASSIC] for each in outcomes] == [2, 1, 0]
    assert [each.unheard[CLASSIC] for each in outcomes] == [0, 0, 1]


@pytest.mark.parametrize(("late", "repeats", "unheard"), [({CUSTOM}, 0, 1), (set(), 1, 0)])
def test_a_custom_bus_knows_what_its_sender_did_not_hear_of_unless_the_next_try_came_late(
    late: set[str], repeats: int, unheard: int
) -> None:
    found = arrived([line("a", CUSTOM), line("a", CUSTOM)], unheard={0})
    stopped = outcome("worker stopped", 1, late=late)
    assert of_repeats(found, [stopped]) == []
    assert (stopped.repeats[CUSTOM], stopped.unheard[CUSTOM]) == (repeats, unheard)


def test_every_event_that_comes_twice_is_a_repeat_of_the_fault_in_whose_time_it_was_accepted() -> None:
    found = arrived([line("a"), line("b"), line("c"), line("c"), line("b"), line("a"), line("a"), line("a")])
    outcomes = [outcome("task killed", 1), outcome("worker killed", 3), outcome("queue lost", 6)]
    assert of_repeats(found, outcomes) == ["classic: 1 events repeated after the last fault"]
    assert [each.repeats[CLASSIC] for each in outcomes] == [1, 2, 1]
    assert [each.again for each in outcomes] == [
        ["classic: 1 at queue lost"],
        ["classic: 2 at queue lost"],
        ["classic: 1 after the last fault"],
    ]


def test_a_fault_that_was_not_played_repeats_nothing() -> None:
    found = arrived([line("a"), line("a")])
    outcomes = [outcome("disk full", skipped="not here"), outcome("task killed", 1)]
    assert of_repeats(found, outcomes) == []
    assert [each.repeats[CLASSIC] for each in outcomes] == [0, 1]


def test_what_a_cut_connection_hid_is_no_repeat_once_and_nothing_that_a_bus_had_before() -> None:
    found = arrived([line("a", cut=True), line("a"), line("b", CUSTOM, cut=True)])
    found.add(3, line("b", CUSTOM, success_code="DEDUPLICATED"))
    assert found.repeats == {"classic": [], "custom": []}
    found.add(4, line("b", CUSTOM))
    found.add(5, line("a"))
    assert found.repeats == {"classic": [(1, 5, False)], "custom": [(3, 4, False)]}
    assert list(of_events(found, {"a", "b"})) == [
        "classic: 1 events never arrived",
        "custom: 1 events never arrived",
    ]
    assert "classic: 1 events arrived that no file has" in list(of_events(found, {"b"}))


CUSTOM_TRY = replace(FIRST, connector=CUSTOM)
GOOD: dict[str, Any] = {"noticed": 5, "recovered": 50}


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (outcome("task killed", **GOOD, lost=[FIRST], repeats=Counter(classic=100)), None),
        (outcome("task killed", **GOOD, lost=[FIRST], repeats=Counter(classic=101)), "101 events of classic repeated"),
        # All tasks of a connector send so much together.
        (outcome("worker killed", **GOOD, lost=[FIRST, FIRST], repeats=Counter(classic=101)), "allowed are 100"),
        (outcome("task killed", **GOOD, lost=[CUSTOM_TRY], repeats=Counter(classic=1)), "allowed are 0"),
        # A custom bus knows what it had, but not for so long.
        (outcome("worker killed", **GOOD, lost=[FIRST, CUSTOM_TRY], repeats=Counter(custom=1)), "allowed are 0"),
        (
            outcome(
                "workers down 5 min",
                **GOOD,
                lost=[CUSTOM_TRY],
                late=frozenset({CUSTOM}),
                repeats=Counter(custom=101),
            ),
            "allowed are 100",
        ),
        (outcome("worker stopped", **GOOD, lost=[FIRST], repeats=Counter(classic=1)), "1 events of classic repeated"),
        # What its sender had no answer to is no more than it may have under way.
        (outcome("worker stopped", **GOOD, lost=[FIRST], unheard=Counter(classic=500)), None),
        (outcome("worker stopped", **GOOD, lost=[FIRST], unheard=Counter(classic=501)), "501 more events of classic"),
        (outcome("task killed", noticed=5, recovered=500, lost=[FIRST]), "recovered after 500 s"),
        (outcome("task killed", noticed=5, lost=[FIRST]), "recovered after None s"),
        (outcome("task killed", recovered=50, lost=[FIRST]), "noticed after None s"),
        (outcome("task killed", **GOOD, hit=[FIRST]), "no try was lost, so it struck nothing"),
        (outcome("scheduler killed", recovered=50, hit=[FIRST, FIRST], lost=[FIRST]), "1 of 2 tries lost"),
        (outcome("task killed", noticed=5, recovered=149, lost=[FIRST]), "recovered after 149 s, allowed are 120"),
        # After errors the next try waits longer each time, but not after a kill.
        (outcome("task killed", noticed=5, recovered=121, lost=[replace(FIRST, number=5)]), "allowed are 120"),
        (outcome("disk full", recovered=149, lost=[FIRST, replace(FIRST, number=2)]), None),
        (outcome("disk full", recovered=151, lost=[FIRST, replace(FIRST, number=2)]), "allowed are 150"),
        # The try after one that a wrong clock ended may meet with it, too.
        (outcome("clock six minutes off", noticed=5, recovered=660, lost=[replace(FIRST, number=2)]), None),
        (
            outcome("clock six minutes off", noticed=5, recovered=661, lost=[replace(FIRST, number=2)]),
            "allowed are 660",
        ),
        (outcome("task killed", missed="no task delivers"), "it struck nothing: no task delivers"),
        (outcome("disk full", recovered=121, hit=[replace(FIRST, number=2)], lost=[FIRST]), "allowed are 120"),
        # What waits behind a delivery, since a worker lost its connection before, is sent again.
        (outcome("task killed", noticed=5, recovered=160, queued=40, lost=[FIRST]), None),
        (outcome("task killed", noticed=5, recovered=161, queued=40, lost=[FIRST]), "allowed are 160"),
        (outcome("task killed", noticed=5, recovered=256, queued=200, lost=[FIRST]), "allowed are 255"),
        (outcome("task killed", skipped="not here"), None),
    ],
)
def test_an_outcome_beyond_its_bounds_is_told(found: Outcome, complaint: str | None) -> None:
    told = list(found.complaints(rate=100))
    assert (told == []) if complaint is None else (complaint in told[0])


def test_what_is_left_is_told(tmp_path: Path) -> None:
    assert list(of_leftovers([tmp_path], [])) == []
    (tmp_path / "pymp-1").mkdir()
    assert list(of_leftovers([tmp_path], [])) == []
    (tmp_path / "part").touch()
    assert list(of_leftovers([tmp_path], ["sleep 60"])) == [f"left: {tmp_path / 'part'}", "an orphan runs: sleep 60"]


def test_the_short_form_has_faults_that_there_are_and_the_long_one_what_was_asked_for() -> None:
    assert set(SHORT.faults) <= EVERY.keys()
    assert LONG.events >= 1_000_000
    assert LONG.hours >= 24
    assert LONG.types >= 50


def test_the_table_has_a_line_for_each_fault() -> None:
    lines = table([outcome("task killed", noticed=1.0, recovered=40.2, hit=[FIRST], lost=[FIRST])]).splitlines()
    assert lines[2:] == ["| task killed | 1 s | 40 s | 1 of 1 | 0 |"]
    assert table([outcome("task killed")]).splitlines()[2:] == ["| task killed | never | never | 0 of 0 | 0 |"]
    struck = table([outcome("task killed", connector="custom")]).splitlines()
    assert struck[2:] == ["| task killed (custom) | never | never | 0 of 0 | 0 |"]
    assert table([outcome("queue killed", skipped="not here")]).endswith("| queue killed | SKIPPED: not here | | | |")
    assert table([outcome("queue killed")]).splitlines()[2:] == ["| queue killed |  | never | 0 of 0 | 0 |"]


def test_faults_that_kill_or_spare_say_so() -> None:
    def of(fault: Fault) -> bool:
        return fault.kills and fault.spares

    assert not any(of(fault) for fault in FAULTS)


def test_a_misspelt_fault_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert parsed(["--only", "task killed"]).only == ["task killed"]
    with pytest.raises(SystemExit):
        parsed(["--only", "task kiled"])
    assert "task kiled" in capsys.readouterr().err


@pytest.mark.parametrize("number", [1, 2, 3, 9])
def test_the_delays_of_retries_are_those_of_the_operators(number: int) -> None:
    assert delay(number) == delay_after(number).total_seconds()


def test_nothing_is_sent_so_long_after_a_checkpoint() -> None:
    assert STALE_SECONDS == keep._STALE_SECONDS


def test_a_scheduled_run_has_to_succeed_after_late_files_were_put() -> None:
    run = {"state": "success", "start_date": "2026-06-01T08:20:00Z"}
    at = datetime(2026, 6, 1, 8, 20, tzinfo=UTC)
    assert list(of_scheduled(CLASSIC, [run], at.replace(minute=19))) == []
    for runs in ([], [run], [{**run, "start_date": "2026-06-01T08:30:00Z", "state": "failed"}]):
        assert list(of_scheduled(CLASSIC, runs, at)) != []


def books(read: int = 3, sent: int = 3, **told: Any) -> tuple[dict[str, Any], list[Head]]:
    """The manifest and the only head of an hour with one file."""
    totals = Counts(read=read, sent=sent)
    manifest = {"totals": asdict(totals), "complete": True, "files": {"open": []}}
    state = FileState(SourceFile("braze", "in/a.parquet", "e", 1), 0, "done", account=Account({"type": totals}))
    return manifest, [Head(Slice("2026-11-23-08", "type"), files={"a": state}, **told)]


def test_books_that_say_what_the_files_hold_are_right() -> None:
    assert list(of_hour(*books(), Counts(read=3, sent=3))) == []


def test_an_hour_without_a_manifest_or_without_books_is_told() -> None:
    manifest, heads = books()
    assert list(of_hour(None, heads, Counts(read=3, sent=3))) == ["no manifest"]
    assert list(of_hour(manifest, [], Counts(read=3, sent=3))) == ["the ledger has 0 rows, the files 3"]


def test_books_that_say_otherwise_than_the_files_are_told() -> None:
    manifest, heads = books(read=4, sent=4)
    told = list(of_hour(manifest, heads, Counts(read=3, sent=3)))
    assert len(told) == 2
    assert told[0].startswith("the books say read 4 = sent 4")
    assert told[1] == "the ledger has 4 rows, the files 3"


def test_a_slice_that_is_held_and_files_that_do_not_balance_or_are_open_are_told() -> None:
    manifest, heads = books(sent=2, owner="a task")
    manifest |= {"totals": asdict(Counts(read=3, sent=3)), "complete": False, "files": {"open": ["in/a.parquet"]}}
    assert list(of_hour(manifest, heads, Counts(read=3, sent=3))) == [
        "not complete: ['in/a.parquet']",
        "a slice still belongs to a task",
        "the books of in/a.parquet don't balance",
    ]


def test_a_part_whose_check_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(_seconds: float, is_healthy: Callable[[], bool]) -> bool:
        assert is_healthy()
        return True

    monkeypatch.setattr(judge, "wait_for", once)
    cluster: Any = SimpleNamespace(checks=["well", "ill"], check=lambda name: name == "well")
    assert list(judge.of_health(cluster)) == ["ill is unhealthy"]
    unwell = outcome(
        "worker killed", missed="", recovered=1.0, noticed=1.0, lost=[FIRST], unhealthy=["ill is unhealthy"]
    )
    assert list(unwell.complaints(rate=1)) == ["worker killed: ill is unhealthy after it"]
