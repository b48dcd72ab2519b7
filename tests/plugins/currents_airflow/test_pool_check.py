from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from currents_airflow.operators.deliver import CurrentsToEventBridgeOperator
from currents_airflow.operators.discover import CurrentsDiscoverOperator
from currents_airflow.policy import POOL
from currents_airflow.pool_check import require_pools
from currents_core.errors import SetupError


def context(task_id: str = "discover", *, pool: str = POOL, map_index: int = -1, note: Any = None, **run: Any) -> Any:
    """What a task of a DAG gets to see in which another delivers in a pool."""
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        discover = CurrentsDiscoverOperator(task_id="discover", connector="orders")
        CurrentsToEventBridgeOperator.partial(task_id="deliver", connector="orders", pool=pool).expand(
            shard=discover.output
        )
        CurrentsDiscoverOperator(task_id="another", connector="orders")
    return {
        "dag": dag,
        "ti": SimpleNamespace(task_id=task_id, map_index=map_index),
        "dag_run": SimpleNamespace(**{"run_id": "scheduled__1", "triggering_user_name": None, **run}),
        "task_state_store": SimpleNamespace(get=lambda _: note),
    }


def test_a_task_that_plans_for_the_pool_fails_without_a_note_of_the_scheduler() -> None:
    with pytest.raises(SetupError, match=r"does not keep the Airflow pools `currents` and.*install .* clear this task"):
        require_pools(context())
    require_pools(context(note=4))


@pytest.mark.parametrize(
    "free",
    [
        {"task_id": "another"},
        {"pool": "default_pool"},
        {"map_index": 0},
        {"triggering_user_name": "dag_test"},
        {"run_id": "__airflow_temporary_run_2026-06-01T00:00:00+00:00__"},
    ],
    ids=["plans nothing", "another pool", "mapped", "airflow dags test", "airflow tasks test"],
)
def test_other_tasks_and_runs_need_no_note(free: dict[str, Any]) -> None:
    require_pools(context(**free))
