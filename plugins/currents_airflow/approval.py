"""Puts a person before the tasks that send, in DAGs of connectors that have `approval`."""

from __future__ import annotations

from typing import Any

from currents_airflow.operators.plan import APPROVE

_DOC = "Waits for a person where the run would send more than the connector's `approval` allows."


def approval_of(plans: Any, *, connector: str) -> Any:
    """The task that has a person approve of ``plans``, the output of the task that made them."""
    # Few connectors need it, and every process that parses DAGs would load it.
    from currents_airflow.operators.approve import CurrentsApprovalOperator

    return CurrentsApprovalOperator(task_id=APPROVE, connector=connector, plans=plans, doc_md=_DOC)
