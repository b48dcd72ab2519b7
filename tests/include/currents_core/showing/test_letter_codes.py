from __future__ import annotations

import re

from currents_core.books.overview import HourView, TypeView
from currents_core.showing.letter_codes import MEANINGS, Group, letters_of, meaning_of
from tests.tools.airflow_env import ROOT


def test_letters_are_told_by_code_and_event_type_the_most_frequent_first() -> None:
    views = [
        HourView("2026-11-23-09", types={"a": TypeView(codes={"no_id": 2}), "b": TypeView(codes={"no_id": 1, "x": 9})}),
        HourView("2026-11-23-08", types={"a": TypeView(codes={"no_id": 3})}),
    ]
    found = letters_of(views)
    assert found.groups == (
        Group("x", "b", 9, ("2026-11-23-09",)),
        Group("no_id", "a", 5, ("2026-11-23-08", "2026-11-23-09")),
        Group("no_id", "b", 1, ("2026-11-23-09",)),
    )
    assert found.count == 15


def test_every_code_of_the_docs_has_a_meaning_and_every_other_one_too() -> None:
    table = (ROOT / "docs/events.md").read_text("utf-8").partition("## Rows that can't be events")[2]
    codes = re.findall(r"^\| `(\w+)` \| ", table.partition("\n## ")[0], re.MULTILINE)
    assert len(codes) == 8
    assert set(codes) <= MEANINGS.keys()
    assert not meaning_of("NeverHeardOf").is_final
    assert meaning_of("no_id").is_final
