"""Looks whether the AWS connections that a connector names exist."""

from __future__ import annotations

import os
from collections.abc import Mapping

from currents_airflow.connections import find_connection
from currents_core.errors import SetupError
from currents_core.setup.faults import did_you_mean
from currents_core.setup.settings import Connector

_IN_ENVIRONMENT = "AIRFLOW_CONN_"


def require_connections(connector: Connector) -> None:
    """Raises SetupError that names each AWS connection of a connector that does not exist, and where it is named."""
    source, state = connector.source.aws_conn_id, connector.state.aws_conn_id
    named = {"source.aws_conn_id": source, **_of_destination(connector), "state.aws_conn_id": state}
    _require(connector, named)


def require_destination(connector: Connector) -> None:
    """The same, of the destination alone."""
    _require(connector, _of_destination(connector))


def _of_destination(connector: Connector) -> dict[str, str | None]:
    destination = connector.destination
    named = {"destination.aws_conn_id": destination.aws_conn_id}
    if destination.kind == "partner_source":
        named["destination.customer_conn_id"] = destination.customer_conn_id
    return named


def _require(connector: Connector, named: Mapping[str, str | None]) -> None:
    places: dict[str, list[str]] = {}
    for place, conn_id in named.items():
        if conn_id is not None:
            places.setdefault(conn_id, []).append(place)
    missing = {conn_id: where for conn_id, where in places.items() if not find_connection(conn_id)}
    if missing:
        known = [*(places.keys() - missing.keys()), *_environment()]
        told = [
            f"{', '.join(where)}: there is no Airflow connection {conn_id}{did_you_mean(conn_id, known)}"
            for conn_id, where in missing.items()
        ]
        raise SetupError(
            f"{connector.name}: {'; '.join(told)}; create it, correct its name, or set aws_conn_id: null to use the "
            "machine's own credentials"
        )


def _environment() -> list[str]:
    """The connections in the environment. Tasks can't list others."""
    return [
        name.removeprefix(_IN_ENVIRONMENT).lower() for name in sorted(os.environ) if name.startswith(_IN_ENVIRONMENT)
    ]
