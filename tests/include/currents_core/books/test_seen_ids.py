from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from currents_aws.memory import MemoryObjects
from currents_core.books.layout import Layout
from currents_core.books.seen_ids import DeliveredIds, SeenIds, fingerprints
from currents_core.file_key import SourceFile

FIXED = [[16174807180982093618, 16597721811516668107], [7633480361603093444, 12370399551502972738]]
HOUR, TYPE = "2026-11-23-08", "users.messages.email.Open"
batches = st.lists(st.lists(st.text(min_size=1, max_size=2), max_size=20), max_size=12)


def file(name: str) -> SourceFile:
    return SourceFile("b", f"event_type={TYPE}/date={HOUR}/{name}", "e", 1)


@given(batches)
def test_the_first_of_each_id_is_new_as_with_a_plain_set(given_batches: list[list[str]]) -> None:
    seen, plain = SeenIds(), set[str]()
    for ids in given_batches:
        new, brought = seen.take_new(pa.array(ids, pa.string()))
        expected = []
        for each in ids:
            expected.append(each not in plain)
            plain.add(each)
        assert new.tolist() == expected
        assert len(brought) == sum(expected)


def test_a_million_ids_take_sixteen_bytes_each_in_a_few_runs() -> None:
    seen = SeenIds()
    for start in range(0, 1_000_000, 10_000):
        seen.take_new(pa.array([f"id-{number}" for number in range(start, start + 10_000)]))
    assert sum(run.nbytes for run in seen._runs) == 16_000_000
    assert len(seen._runs) < 20
    assert seen.contains(fingerprints(pa.array(["id-0", "id-999999", "id-1000000"]))).tolist() == [True, True, False]


def test_both_halves_of_a_fingerprint_must_agree() -> None:
    seen = SeenIds()
    seen.add(np.array([[1, 1], [2, 2]], dtype=np.uint64))
    assert seen.contains(np.array([[1, 1], [1, 2], [3, 3]], dtype=np.uint64)).tolist() == [True, False, False]


def test_fingerprints_do_not_change_between_releases() -> None:
    """They are kept in the state: another hash would find every late repeat new."""
    found = fingerprints(pa.array(["4d2e6f4d-ece3-4c34-b66f-645cd5acd26a", "é"]))
    assert found.tolist() == FIXED


def test_ids_of_delivered_files_are_read_back_and_those_of_others_are_not() -> None:
    delivered = DeliveredIds(MemoryObjects(), Layout())
    for name, ids in {"a": ["x", "y"], "b": ["z"]}.items():
        delivered.write(file(name), TYPE, [fingerprints(pa.array([each])) for each in ids])
    seen = delivered.read(HOUR, TYPE, {file("a").id})
    assert seen.contains(fingerprints(pa.array(["x", "y", "z"]))).tolist() == [True, True, False]
    assert delivered.read(HOUR, "other", {file("a").id}).contains(fingerprints(pa.array(["x"]))).tolist() == [False]
