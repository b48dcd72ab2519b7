from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.file_key import Slice, SourceFile, by_slice
from currents_core.finding.shard import FILE_BYTES, MAX_SHARDS, SHARD_BYTES, Shard, plan_shards


def file(event_type: str, hour: int, number: int, size: int) -> SourceFile:
    return SourceFile("b", f"event_type={event_type}/date=2026-01-01-{hour:02}/{number}.parquet", "e", size)


def shard_of(*files: SourceFile) -> Shard:
    return Shard({place: tuple(each) for place, each in by_slice(files).items()})


files = st.lists(
    st.builds(file, st.sampled_from("abcdef"), st.integers(0, 3), st.integers(0, 50), st.integers(1, 40_000_000)),
    unique_by=lambda each: each.key,
    max_size=60,
)


@given(files, st.integers(1, 8))
def test_every_file_is_in_one_shard_and_types_of_an_hour_stay_together(found: list[SourceFile], most: int) -> None:
    shards = plan_shards(by_slice(found), max_shards=most)
    assert sorted(each.key for shard in shards for each in shard.files) == sorted(each.key for each in found)
    assert len(shards) <= most
    assert all(shard.work for shard in shards)
    homes: dict[tuple[str, str | None], int] = {}
    for number, shard in enumerate(shards):
        for each in shard.files:
            assert homes.setdefault((each.hour, each.event_type), number) == number


@given(files, st.randoms())
def test_the_same_files_in_any_order_give_the_same_shards(found: list[SourceFile], rng: random.Random) -> None:
    shuffled = found[:]
    rng.shuffle(shuffled)
    assert plan_shards(by_slice(shuffled)) == plan_shards(by_slice(found))


def test_past_hours_whose_state_has_ended_since_are_left_out() -> None:
    ended, kept = file("a", 1, 1, 10), file("b", 2, 1, 10)
    shard = shard_of(ended, kept)
    assert shard.without_ended(lambda hour: hour == kept.hour).files == (kept,)
    assert shard.without_ended(lambda _: False).files == ()


def test_small_hours_are_one_shard_and_large_ones_are_balanced() -> None:
    assert len(plan_shards(by_slice(file(kind, 0, 0, 1000) for kind in "abcdef"))) == 1
    shards = plan_shards(by_slice(file(kind, 0, 0, SHARD_BYTES) for kind in "abcdef"))
    assert sorted(len(shard.files) for shard in shards) == [1, 1, 1, 1, 1, 1]


def test_many_tiny_files_are_spread_for_what_each_costs_to_open() -> None:
    count = 4 * SHARD_BYTES // FILE_BYTES
    shards = plan_shards(by_slice(file("abcd"[number % 4], 0, number, 1) for number in range(count)))
    assert [len(shard.files) for shard in shards] == [count // 4] * 4


def test_a_hundred_thousand_files_make_no_more_tasks_than_airflow_maps() -> None:
    found = [file(f"type{number % 500}", number % 4, number, 20_000) for number in range(100_000)]
    shards = plan_shards(by_slice(found))
    assert sum(len(shard.files) for shard in shards) == 100_000
    # Airflow's max_map_length is 1,024 unless somebody lowers it.
    assert len(shards) == MAX_SHARDS < 1_024


def test_a_shard_survives_storage_and_its_label_says_what_it_carries() -> None:
    shard = shard_of(file("a", 0, 0, 1_500_000), file("a", 0, 1, 600_000))
    assert Shard.from_json(shard.as_json()) == shard
    assert shard.label == "a, 2 files, 2.1 MB"
    assert shard_of(*shard.files, file("b", 0, 0, 0)).label.startswith("2 event types, 3 files")


@pytest.mark.parametrize(
    "event_type", ["x" * 900, "{{ ti.xcom_push() }}{% x %}", "a\n\x1b[31m", "🙂" * 200, "\x01" * 200]
)
def test_a_label_fits_into_airflows_database_and_is_neither_a_template_nor_two_lines(event_type: str) -> None:
    label = shard_of(file(event_type, 0, 0, 1_500_000)).label
    assert len(f"1,000,000 letters of {label}") <= 250
    assert label.isprintable()
    assert not set("{}") & set(label)
    assert label.endswith(", 1 file, 1.5 MB")


@pytest.mark.parametrize(
    ("keys", "prefix"),
    [
        (["/in/date=2026-01-01-00/a", "in/date=2026-01-01-00/a"], ""),
        (["in//date=2026-01-01-00/a", "in//date=2026-01-01-00/b"], "in//date=2026-01-01-00/"),
        (["in/../date=2026-01-01-00/x/a", "in/../date=2026-01-01-00/y/a"], "in/../date=2026-01-01-00/"),
    ],
)
def test_keys_are_no_paths(keys: list[str], prefix: str) -> None:
    assert shard_of(*(SourceFile("b", key, "e", 1) for key in keys)).prefix == prefix


def test_no_files_make_no_shards() -> None:
    assert plan_shards({}) == []


def test_a_slice_without_a_listed_file_is_some_tasks_work_too() -> None:
    place = Slice("2026-01-01-00", "a")
    [shard] = plan_shards({place: []})
    assert shard.work == {place: ()}
    assert (shard.hour, shard.label) == (place.hour, "a, 0 files, 0.0 MB")
