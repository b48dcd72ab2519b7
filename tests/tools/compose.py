"""docker-compose.yaml as compose reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.tools.airflow_env import ROOT

RAW: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))

# What the file may use: $$, ${NAME:-default} and ${NAME:?message}. Any other $ is a fault.
EXPRESSION = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+):(?P<operator>[-?])(?P<rest>[^{}$]*)\}|)")


def interpolate(value: Any, environment: Mapping[str, str], missing: dict[str, str]) -> Any:
    """A value as compose sees it. Names that must be set and are not go to ``missing``, with their messages."""
    if isinstance(value, dict):
        return {key: interpolate(each, environment, missing) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolate(each, environment, missing) for each in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        assert match["name"], f"{value!r} has a $ that is neither $$ nor ${{NAME:-...}} nor ${{NAME:?...}}"
        found = environment.get(match["name"])
        if not found and match["operator"] == "?":
            missing[match["name"]] = match["rest"]
        return found or (match["rest"] if match["operator"] == "-" else "")

    return EXPRESSION.sub(replace, value)


def airflow_settings() -> dict[str, str]:
    """What the file sets in Airflow's configuration, by its variables, where nothing is chosen in .env."""
    environment: dict[str, str] = interpolate(RAW["x-airflow"]["environment"], {}, {})
    return {name: text for name, text in environment.items() if name.startswith("AIRFLOW__")}


def services(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The services with an environment filled in. Raises ValueError where something is missing that must be given."""
    missing: dict[str, str] = {}
    found: dict[str, dict[str, Any]] = interpolate(RAW["services"], environment, missing)
    if missing:
        raise ValueError(f"docker-compose.yaml needs {', '.join(missing)}")
    return found
