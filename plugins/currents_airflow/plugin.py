"""The Airflow plugin: what the scheduler and the API server need of this project."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from currents_airflow import policy, pool, run_note
from currents_airflow.deadline import HourEnd
from currents_airflow.form_check import FormCheck
from currents_airflow.page import mount


class CurrentsPlugin(AirflowPlugin):
    """Currents Export."""

    name = "currents"
    # The last is called first, and what it does is needed more.
    listeners = [run_note, pool]  # noqa: RUF012 - as Airflow declares it
    deadline_references = [HourEnd]  # noqa: RUF012
    fastapi_apps = [{"name": "currents deliveries", "app": mount.page, "url_prefix": mount.PREFIX}]  # noqa: RUF012
    external_views = mount.views()
    fastapi_root_middlewares = [{"name": "currents form check", "middleware": FormCheck}]  # noqa: RUF012

    @classmethod
    def on_load(cls, *_: Any, **__: Any) -> None:
        """Makes the cluster policy known where no entry point of the wheel does."""
        from airflow.settings import get_policy_plugin_manager

        known = get_policy_plugin_manager()
        if not known.is_registered(policy):
            known.register(policy)
