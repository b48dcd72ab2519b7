from __future__ import annotations

import json
from importlib.resources import files

import jsonschema

from currents_airflow.provider import provider_info


def test_airflow_takes_the_provider_and_its_setting() -> None:
    schema = json.loads((files("airflow") / "provider_info.schema.json").read_text("utf-8"))
    jsonschema.validate(provider_info(), schema)
    option = provider_info()["config"]["currents"]["options"]["connectors_file"]
    assert option["default"] is None, "no install may get a connector that nobody asked for"
