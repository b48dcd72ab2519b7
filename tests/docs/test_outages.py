"""The bounds that docs/outages.md promises are those that chaos asserts."""

from __future__ import annotations

import re

from tests.chaos.faults import FAULTS
from tests.chaos.form import LONG
from tests.chaos.outcome import delay
from tests.tools.airflow_env import ROOT
from tests.tools.compose import airflow_settings


def seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} s"


PAGE = (ROOT / "docs" / "outages.md").read_text("utf-8")
TABLE, SETTINGS = PAGE[PAGE.index("| event |") :].split("## Settings")
ROWS = [re.split(r" *\| *", line.strip("| ").strip()) for line in TABLE.splitlines() if line.startswith("| ")][1:]


def most(seen: str) -> int:
    """The largest of the figures that were seen."""
    return max((int(figure.replace(",", "")) for figure in re.findall(r"[\d,]+", seen)), default=0)


def test_the_table_has_each_fault_with_its_bounds() -> None:
    promised = {name: (noticed, recovered, repeats != "none") for name, noticed, _, recovered, _, repeats, *_ in ROWS}
    assert promised == {fault.name: (seconds(fault.noticed), seconds(fault.recovered), fault.kills) for fault in FAULTS}


def test_what_was_seen_is_within_the_bounds() -> None:
    bounds = {fault.name: fault for fault in FAULTS}
    for name, _, noticed, _, recovered, allowed, repeats, _ in ROWS:
        fault = bounds[name]
        assert bool(noticed) is (fault.noticed is not None), name
        assert most(noticed) <= (fault.noticed or 0), name
        first, _, later = recovered.partition("(later try:")
        assert 0 < most(first) <= fault.recovered, name
        assert fault.raises or not later, name
        # The bound of a later try has grown, here by at most what the third waits longer than the first.
        assert most(later) <= fault.recovered + delay(fault.raises + 2) - delay(max(1, fault.raises)), name
        # Of all connectors together where "a bus" is said.
        assert most(repeats) <= (LONG.rate * (1 + allowed.endswith("a bus")) if fault.kills else 0), name


def test_what_governs_a_recovery_is_explained() -> None:
    governing = {row[0]: row[-1] for row in ROWS}
    assert all(governing.values())
    assert {
        name for text in governing.values() for name in re.findall(r"`(.*?)`", text) if name not in SETTINGS
    } == set()


def recovery_of_compose() -> dict[str, str]:
    """What compose sets of Airflow's engine where nothing is chosen in .env, by the name in Airflow's configuration."""
    split = [(name.lower().split("__"), value) for name, value in airflow_settings().items()]
    engine = ("scheduler", "workers", "celery", "celery_broker_transport_options")
    of_engine = {words[2]: value for words, value in split if words[1] in engine}
    of_core = {words[2]: value for words, value in split if words[2] in ("parallelism", "dags_are_paused_at_creation")}
    return of_engine | of_core


def test_the_reason_is_given_for_each_setting_of_compose() -> None:
    # Addresses, and the server that the health check of the scheduler asks.
    others = {"broker_url", "result_backend", "enable_health_check"}
    assert recovery_of_compose().keys() - set(re.findall(r"\w+", SETTINGS)) == others


def test_the_settings_are_those_of_compose() -> None:
    rows = [re.split(r" *\| *", line.strip("| ")) for line in SETTINGS.splitlines() if line.startswith("| `[")]
    told: dict[str, str] = {}
    for names, _, here, *_ in rows:
        of_one = [name.rpartition("] ")[2] for name in re.findall(r"`(.*?)`", names)]
        told |= dict(zip(of_one, here.split(", "), strict=False))
    numbers = {name: value for name, value in told.items() if re.fullmatch(r"\d+|true|false", value)}
    composed = recovery_of_compose()
    assert numbers == {name: composed[name] for name in numbers}
    assert len(numbers) > 10


def test_no_page_asks_to_clear_what_is_tried_again() -> None:
    rows = [
        line for line in (ROOT / "docs" / "connectors.md").read_text("utf-8").splitlines() if line.startswith("| `")
    ]
    passing = [row for row in rows if "nothing got through" in row or "still refused" in row]
    assert [row for row in passing if "lear the task" in row] == []
    assert len(passing) == 2
