from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.tools.front_lines import Lines


@given(st.lists(st.binary(max_size=20).map(lambda line: line + b"\n")), st.integers(0, 12), st.integers(0, 12))
def test_any_part_of_the_lines_can_be_read_and_others_added_after(lines: list[bytes], first: int, count: int) -> None:
    kept = Lines()
    for line in lines:
        kept.append(line)
        assert kept.text(first, count) == b"".join(lines[: len(kept)][first : first + count])
    assert len(kept) == len(lines)
    assert kept.text(0, len(lines)) == b"".join(lines)
