"""The bounds that docs/outages.md promises are those that chaos asserts."""

from __future__ import annotations

import re

from tests.chaos.faults import FAULTS
from tests.tools.airflow_env import ROOT


def seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} s"


PAGE = (ROOT / "docs" / "outages.md").read_text("utf-8")
TABLE, SETTINGS = PAGE[PAGE.index("| event |") :].split("## Settings")
ROWS = [re.split(r" *\| *", line.strip("| ").strip()) for line in TABLE.splitlines() if line.startswith("| ")][1:]


def test_the_table_has_each_fault_with_its_bounds() -> None:
    promised = {row[0]: (row[1], row[2], row[4] != "none") for row in ROWS}
    assert promised == {fault.name: (seconds(fault.noticed), seconds(fault.recovered), fault.kills) for fault in FAULTS}


def test_what_governs_a_recovery_is_explained() -> None:
    governing = {row[0]: row[6] for row in ROWS}
    assert all(governing.values())
    assert {
        name for text in governing.values() for name in re.findall(r"`(.*?)`", text) if name not in SETTINGS
    } == set()


def test_no_page_asks_to_clear_what_is_tried_again() -> None:
    rows = [
        line for line in (ROOT / "docs" / "connectors.md").read_text("utf-8").splitlines() if line.startswith("| `")
    ]
    passing = [row for row in rows if "nothing got through" in row or "still refused" in row]
    assert [row for row in passing if "lear the task" in row] == []
    assert len(passing) == 2
