from __future__ import annotations

import subprocess
import sys

from currents_core.catalog import catalog
from tests.tools.airflow_env import EXAMPLE, PYTHONPATH


def test_the_catalog_holds_what_the_glossary_does() -> None:
    assert len(catalog()) == 97
    stored = [each for each in catalog().values() if each.stored]
    assert len(stored) == 94
    fields = [field for each in stored for field in each.fields.values() if field.stored]
    assert (len(fields), len({field.name for field in fields})) == (2022, 194)


def test_exactly_four_fields_belong_to_the_user() -> None:
    user = {field.name for each in catalog().values() for field in each.fields.values() if field.where == "user"}
    assert user == {"user_id", "external_user_id", "device_id", "timezone"}


def test_it_is_loaded_only_when_asked_for() -> None:
    code = (
        "import currents_core.shaping.normalise; from currents_core.catalog import catalog; "
        "print(catalog.cache_info().misses)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": PYTHONPATH}, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "0"


def test_a_connector_that_takes_everything_is_loaded_without_it() -> None:
    code = (
        "from pathlib import Path; from currents_core.setup.connectors_file import load_connectors; "
        f"from currents_core.catalog import catalog; print(load_connectors(Path({str(EXAMPLE)!r})).faults); "
        "print(catalog.cache_info().misses)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": PYTHONPATH}, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["()", "0"]
