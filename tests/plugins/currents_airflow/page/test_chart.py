from __future__ import annotations

from currents_airflow.page.chart import HEIGHT, WIDTH, chart


def test_bars_are_as_high_as_their_values_and_none_where_there_is_nothing() -> None:
    found = chart([5, 0, 10])
    assert found.most == 10
    first, last = found.path.removeprefix("M").split("M")
    assert first == f"0 {HEIGHT}v-{HEIGHT // 2}h210.8V{HEIGHT}z"
    assert last.startswith(f"{WIDTH * 2 // 3} {HEIGHT}v-{HEIGHT}h")


def test_nothing_makes_no_bars() -> None:
    assert chart([]).path == chart([0, 0]).path == ""
