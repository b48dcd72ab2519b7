"""The commands of docs/install.md and docs/maintenance.md are those of each installation."""

from __future__ import annotations

import re

import pytest

from tests.tools.airflow_env import ROOT
from tests.tools.compose import RAW

# Line breaks of the prose taken out, so that a command is found wherever its line ends.
PAGES = ("install.md", "maintenance.md", "deliveries.md")
INSTALL, MAINTENANCE, DELIVERIES = (" ".join((ROOT / "docs" / page).read_text("utf-8").split()) for page in PAGES)


@pytest.mark.parametrize("page", [INSTALL, DELIVERIES], ids=["install", "deliveries"])
def test_compose_which_has_no_wheel_is_asked_for_the_module(page: str) -> None:
    executed = re.findall(r"docker compose exec (\S+) (python -m currents_airflow|airflow currents)", page)
    assert {command for _, command in executed} == {"python -m currents_airflow"}
    assert {service for service, _ in executed} <= RAW["services"].keys()


def test_an_upgrade_under_compose_changes_no_code_under_running_tasks() -> None:
    mounted = {mount.partition(":")[0] for mount in RAW["x-airflow"]["volumes"]}
    assert {"./dags", "./plugins", "./include"} <= mounted
    upgrade = MAINTENANCE[MAINTENANCE.index("## Upgrade") :]
    commands = ("`docker compose stop`", "`git pull`", "`docker compose up --detach`")
    assert sorted(commands, key=upgrade.index) == list(commands)
