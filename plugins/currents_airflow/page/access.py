"""Who may see what: Airflow mounts the apps of plugins without asking who calls."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, HTTPException, status

from currents_airflow.connectors import all_connectors
from currents_core.setup.settings import Connector


def permitted(user: GetUserDep) -> dict[str, Connector]:
    """The valid connectors whose export DAG the user may read, by name; 401 for nobody that Airflow knows.

    Raises SetupError where the connectors file can't be read.
    """
    dags = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    return {name: each for name, each in all_connectors().valid.items() if f"currents_export_{name}" in dags}


Permitted = Annotated[dict[str, Connector], Depends(permitted)]


def one_permitted(name: str, connectors: Permitted) -> Connector:
    """The connector ``name``; 404 if there is none, and likewise if the user may not see it."""
    if name not in connectors:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no connector {name} that you may see.")
    return connectors[name]


OnePermitted = Annotated[Connector, Depends(one_permitted)]
