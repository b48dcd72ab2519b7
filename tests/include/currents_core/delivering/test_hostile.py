"""Hostile files and keys, each delivered beside a good file, in processes of their own with limited memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.hostile import LIMIT, measure
from tests.tools import hostile
from tests.tools.hostile_run import Found, fuzz, is_odd, run, told
from tests.tools.hostile_sizes import CASES

# `make fuzz` runs as many as one likes.
SEEDS = 2_000


@pytest.fixture(scope="module")
def corpus() -> dict[str, Found]:
    return run("corpus")


def test_every_hostile_file_meets_its_fate_and_the_good_one_beside_it_goes(corpus: dict[str, Found]) -> None:
    assert set(corpus) == set(hostile.files())
    assert not {name for name, found in corpus.items() if is_odd(found)}, told(corpus.values())


@pytest.mark.parametrize("name", hostile.BAD_TEXT)
@pytest.mark.parametrize("place", ["id", "name", "properties", "event_type", "a list", "a struct", "a map"])
def test_bad_text_costs_its_row_and_no_other(corpus: dict[str, Found], name: str, place: str) -> None:
    found = corpus[f"{name} in {place}"]
    assert (found["codes"], found["sent"]) == (["not_utf8"], 1)


@pytest.mark.parametrize("name", hostile.ODD_TEXT)
@pytest.mark.parametrize("place", ["id", "name", "properties", "event_type", "a list", "a struct", "a map"])
def test_odd_text_is_text(corpus: dict[str, Found], name: str, place: str) -> None:
    found = corpus[f"{name} in {place}"]
    assert (found["codes"], found["sent"]) == ([], 2)


def test_files_of_odd_writers_are_sent_whole(corpus: dict[str, Found]) -> None:
    written = (
        "INT96",
        "microseconds",
        "dates of no year",
        "days of no year",
        "decimals",
        "dictionaries",
        "large strings",
        "a struct",
        "a map",
        "extra columns",
    )
    assert {name: corpus[name]["sent"] for name in written} == dict.fromkeys(written, 2)


def test_a_file_with_an_odd_key_is_delivered_or_its_rows_are_parked() -> None:
    found = run("keys")
    assert [each["outcome"] for each in found.values()] == ["done"] * len(hostile.keys()), told(found.values())
    parked = {name for name, each in found.items() if each["codes"]}
    assert parked == {name for name in found if "x" * 800 in name}
    assert all(each["codes"] == ["event_type_too_long"] for name, each in found.items() if name in parked)


# Those that are quickly made and quickly through; `make bench` has all.
@pytest.mark.parametrize(
    "name",
    [
        "10,000 rows of 100 KB, all alike",
        "300 rows of 5 MB, all alike",
        "texts that share their beginning",
        "a list of 50,000,000 nulls",
        "Avro, a row of 10 MB",
        "Avro, a block of a billion rows",
    ],
)
def test_what_wants_much_memory_does_not_get_it(name: str, tmp_path: Path) -> None:
    found = measure(name, tmp_path / "file")
    assert found.fate == CASES[name].fate
    assert 0 < found.peak < LIMIT


@pytest.mark.slow
def test_whatever_is_changed_in_a_file_it_meets_a_fate() -> None:
    found = fuzz(0, SEEDS)
    assert len(found) == SEEDS
    assert not {name for name, each in found.items() if is_odd(each)}, told(found.values())
