from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from currents_core.books.id_pages import Fingerprints, fingerprints, placed
from currents_core.books.seen_ids import SeenIds
from tests.include.currents_core.books.test_id_pages import mapped

TYPE = "users.messages.email.Open"
BATCHES = st.lists(st.lists(st.text(min_size=1, max_size=2), max_size=20), max_size=12)


def prints(ids: list[str]) -> Fingerprints:
    return fingerprints(pa.array(ids, pa.string()), TYPE)


@given(BATCHES, BATCHES, st.lists(st.text(min_size=1, max_size=2)))
def test_the_first_of_each_id_is_new_as_with_a_plain_set(
    batches: list[list[str]], paged: list[list[str]], inline: list[str]
) -> None:
    pages = [mapped(placed(prints(ids), 0, range(len(ids)))) for ids in paged]
    seen = SeenIds(pages, placed(prints(inline), 0, range(len(inline))))
    plain = {each for ids in (*paged, inline) for each in ids}
    for ids in batches:
        expected = []
        for each in ids:
            expected.append(each not in plain)
            plain.add(each)
        new, run = seen.new_among(prints(ids))
        assert new.tolist() == expected
        assert not seen.contains(run).any(), "before they are added"
        seen.add_run(run)


def test_a_million_ids_take_sixteen_bytes_each_in_a_few_runs() -> None:
    seen = SeenIds()
    for start in range(0, 1_000_000, 10_000):
        _, run = seen.new_among(prints([f"id-{number}" for number in range(start, start + 10_000)]))
        seen.add_run(run)
    assert sum(run.nbytes for run in seen._runs) == 16_000_000
    assert len(seen._runs) < 20
    assert seen.contains(prints(["id-0", "id-999999", "id-1000000"])).tolist() == [True, True, False]


def test_both_halves_of_a_fingerprint_must_agree() -> None:
    seen = SeenIds()
    seen.add(np.array([[1, 1], [2, 2]], dtype=np.uint64))
    assert seen.contains(np.array([[1, 1], [1, 2], [3, 3]], dtype=np.uint64)).tolist() == [True, False, False]
