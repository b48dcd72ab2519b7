"""The tasks between the first and the last of every DAG that sends: a person's approval, where wanted, and deliver."""

from __future__ import annotations

from typing import Any

from currents_airflow.operators.deliver import CurrentsToEventBridgeOperator
from currents_airflow.policy import APPROVE, POOL

_APPROVE_DOC = "Waits for a person where the run would send more than the connector's `approval` allows."


def deliver_between(plans: Any, last: Any, *, connector: str, asks: bool, doc_md: str) -> None:
    """Adds the tasks that send ``plans``, the output of the first task, before ``last``, the last one."""
    approve = _approval_of(plans, connector) if asks else None
    deliver = CurrentsToEventBridgeOperator.partial(
        task_id="deliver",
        connector=connector,
        # Each slot of the pool is worth a part of the budget. The cluster policy has another for what is over.
        pool=POOL,
        map_index_template="{{ task.shard['label'] }}",
        approved=[approve.output] if approve else None,
        doc_md=doc_md,
    ).expand(shard=plans)
    if approve:
        approve >> last
    # A teardown always runs. Its failure counts for the run, and it fails where the tasks before it did.
    deliver >> last.as_teardown(on_failure_fail_dagrun=True)


def _approval_of(plans: Any, connector: str) -> Any:
    # Few connectors need it, and every process that parses DAGs would load it.
    from currents_airflow.operators.approve import CurrentsApprovalOperator

    return CurrentsApprovalOperator(task_id=APPROVE, connector=connector, plans=plans, doc_md=_APPROVE_DOC)
