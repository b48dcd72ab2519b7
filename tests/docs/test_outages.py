"""The bounds that docs/outages.md promises are those that chaos asserts."""

from __future__ import annotations

import re

from tests.chaos.faults import FAULTS
from tests.tools.airflow_env import ROOT


def seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} s"


def test_the_table_has_each_fault_with_its_bounds() -> None:
    text = (ROOT / "docs" / "outages.md").read_text("utf-8")
    table = text[text.index("| event |") : text.index("## Settings")]
    rows = [re.split(r" *\| *", line.strip("| ").strip()) for line in table.splitlines() if line.startswith("| ")][1:]
    promised = {row[0]: (row[1], row[2], row[4] != "none") for row in rows}
    assert promised == {fault.name: (seconds(fault.noticed), seconds(fault.recovered), fault.kills) for fault in FAULTS}
