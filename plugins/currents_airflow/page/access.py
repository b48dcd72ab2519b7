"""Who may see what: Airflow mounts the apps of plugins without asking who calls."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, HTTPException, status

from currents_airflow.connectors import all_connectors
from currents_core.errors import SetupError
from currents_core.setup.settings import Connector

_EXPORT = "currents_export_"


def readable(user: GetUserDep) -> set[str]:
    """The connectors whose export DAG the user may read, by name, valid or not; 401 for nobody that Airflow knows."""
    dags = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    return {each.removeprefix(_EXPORT) for each in dags if each.startswith(_EXPORT)}


Readable = Annotated[set[str], Depends(readable)]


def permitted(names: Readable) -> dict[str, Connector]:
    """The valid ones of these connectors, by name.

    Raises SetupError where the connectors file can't be read, for whoever may see any of them.
    """
    valid = all_connectors().valid if names else {}
    return {name: each for name, each in valid.items() if name in names}


Permitted = Annotated[dict[str, Connector], Depends(permitted)]


def one_permitted(name: str, connectors: Permitted, names: Readable) -> Connector:
    """The connector ``name``; 404 if there is none, and likewise if the user may not see it.

    Raises SetupError with its own faults where it has any: the others are not everybody's business.
    """
    if name in connectors:
        return connectors[name]
    if name in names and (faults := all_connectors().faults_of.get(name)):
        raise SetupError("; ".join(faults))
    raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no connector {name} that you may see.")


OnePermitted = Annotated[Connector, Depends(one_permitted)]
