"""The connectors of this Airflow: those of the file that its configuration names, else the environment."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk.configuration import conf

from currents_airflow.botocore_check import lack, with_botocore
from currents_core.errors import SetupError
from currents_core.setup.connectors_file import Connectors, load_connector, load_connectors
from currents_core.setup.settings import Connector


def connectors_file() -> Path | None:
    """The path of the connectors file, or None where none is named."""
    named = conf.get("currents", "connectors_file", fallback=None) or os.environ.get("CURRENTS_CONNECTORS")
    return Path(named) if named else None


def partner_name() -> str | None:
    """The name that AWS registered this organization with as a partner, or None where none is told."""
    return conf.get("currents", "partner_name", fallback=None) or os.environ.get("CURRENTS_PARTNER_NAME")


def all_connectors() -> Connectors:
    """The valid connectors, and what is wrong with the others. Raises SetupError where there is no readable file."""
    return with_botocore(load_connectors(_file(), partner_name()))


def one_connector(name: str) -> Connector:
    """The connector called ``name``. Raises SetupError where there is none, or where it has a fault."""
    connector = load_connector(_file(), name, partner_name())
    if lacked := lack(connector):
        raise SetupError(lacked)
    return connector


def _file() -> Path:
    path = connectors_file()
    if not path:
        raise SetupError(
            "no connectors file is named; put its path into Airflow's configuration as connectors_file in the section "
            "[currents] (AIRFLOW__CURRENTS__CONNECTORS_FILE), or into the environment variable CURRENTS_CONNECTORS"
        )
    return path
