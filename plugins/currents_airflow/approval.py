"""Puts a person before the tasks that send, in DAGs of connectors that have `approval`."""

from __future__ import annotations

from typing import Any

from currents_airflow.operators.reconcile import APPROVE

_DOC = "Waits for a person where the run would send more than the connector's `approval` allows."


def ask_before(deliver: Any, last: Any, *, connector: str, plans: Any) -> None:
    """Adds a task before ``deliver`` whose state ``last``, the last task, looks at, too."""
    # Few connectors need it, and every process that parses DAGs would load it.
    from currents_airflow.operators.approve import CurrentsApprovalOperator

    approve = CurrentsApprovalOperator(task_id=APPROVE, connector=connector, plans=plans, doc_md=_DOC)
    approve >> [deliver, last]
