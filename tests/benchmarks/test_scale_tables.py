"""The tables of the benchmarks of scale: what is told beside each figure."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.billion import Load, Measured
from benchmarks.scale import printed
from benchmarks.scale_airflow import Cost, Costs
from benchmarks.scale_hours import Month
from benchmarks.scale_run import STEPS, Figures, Step, billed
from benchmarks.scale_tables import (
    measured,
    of_airflow,
    of_billion,
    of_empty_hour,
    of_files,
    of_month,
    of_rows,
    of_workers,
)
from benchmarks.scale_workers import Team

ONE = Team(1, events=1_000_000, seconds=20, cpu=20, sink=5, others=1, peak=400)
TWO = Team(2, events=1_000_000, seconds=13, cpu=20, sink=5.5, others=1, peak=410)
AIRFLOW = Costs(24, Cost(24, 480, 720, 72), Cost(1, 40, 60, 6), Cost(1, 10, 9, 3), rest=0.2)


def figures(seconds: float, reads: int, writes: int, *, sent: int = 0, peak: float = 300) -> Figures:
    steps = {name: Step() for name in STEPS}
    steps["deliver"] = Step(seconds, seconds / 2, {"GET": reads, "PUT": writes, "LIST": 2, "DELETE": 1})
    return Figures(steps, tasks=3, sent=sent, peak=peak)


def words(text: str, line: str) -> list[str]:
    """The words of the line that begins so, without those."""
    [found] = [each.strip() for each in text.splitlines() if each.strip().startswith(line)]
    return found.removeprefix(line).split()


def test_workers_stand_beside_one_worker_of_their_round() -> None:
    text = printed(of_workers({1: [ONE], 2: [TWO]}, [ONE], 2))
    assert words(text, "1 ")[:2] == ["50,000", "1.00"]
    told = words(text, "2 ")
    assert told[:2] == ["76,923", "1.54"]
    assert "the cores" in text
    assert "neither S3 nor Celery" in text


def test_what_holds_workers_up() -> None:
    assert TWO.binds(2) == "the cores"
    assert ONE.binds(2) == "a worker's own threads"
    assert Team(4, 1, seconds=10, cpu=20, sink=9.5, others=0, peak=1).binds(8) == "the sink"


def test_a_file_is_told_against_the_row_before() -> None:
    found = {10: figures(1, 12, 3), 1_000: figures(50, 1_010, 20)}
    text = printed(of_files(found, (1_000, figures(100, 1_010, 20)), 0.03))
    assert words(text, "10 ")[:5] == ["0.0", "1.0", "0.0", "100.00", "50.00"]
    assert "0.50" in words(text, "1,000 ")
    assert "2.00 of" in text


def test_rows_of_a_file() -> None:
    text = printed(
        of_rows([(100, 1.0, figures(1, 1, 1, sent=100)), (1_000, 9.0, figures(5, 1, 1, sent=1_000, peak=330))])
    )
    assert words(text, "1,000 ") == ["9.0", "5.0", "200", "2.00", "2500.0", "330", "1.10"]


def test_a_month() -> None:
    text = printed(of_month(Month(720, figures(60, 7_000, 3_000), figures(20, 2_000, 998))))
    assert words(text, "runs of a backfill") == ["720", "3", "60.0", "30.0", "10,003", "13.9", "7,000", "3,002"]
    assert words(text, "ratio") == ["3.0", "3.0", "3.3"]


def test_what_is_billed() -> None:
    assert billed({"GET": 5, "PUT": 3, "LIST": 2, "DELETE": 9}) == (5, 5)


def test_an_empty_hour() -> None:
    text = printed(of_empty_hour(figures(0.5, 4, 1), 94))
    assert "94 types: 3 tasks" in " ".join(text.split())
    assert words(text, "all") == ["0.50", "0.25", "8", "4", "1", "2"]


def test_airflow_and_what_is_extrapolated() -> None:
    text = printed(of_airflow(AIRFLOW, 720))
    assert words(text, "24 hours as a backfill") == ["24", "72", "480", "20.0", "720", "30.0", "10.0"]
    assert words(text, "EXTRAPOLATED: 720 hours as a backfill") == ["720", "2,160", "14,400", "21,600"]


def test_a_billion() -> None:
    stored = [(1_000, 1.0, figures(0.1, 1, 1, sent=1_000)), (9_000, 9.0, figures(0.5, 1, 1, sent=9_000))]
    files = {10: figures(1, 12, 3), 1_000: figures(9, 1_100, 20)}
    cheap = replace(TWO, cpu=8)
    found = measured({1: [ONE], 2: [TWO]}, [cheap], files, stored, AIRFLOW)
    # In memory 20 µs, and 8 to a custom bus; from S3, which is what a billion events come from, 50.
    assert found == Measured(classic=50, custom=38, alone=10_000, reads=1.1, writes=0.02, task=10)
    text = printed(of_billion(Load(), found))
    assert words(text, "EventBridge a day") == ["$1,000", "$200"]
    assert words(text, "PutEvents quota, us-east-1")[0] == "10,000/s:"
    assert "ON PAPER" in text
