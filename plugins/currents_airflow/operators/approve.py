"""Has a person decide about a large replay, stretch or redrive before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import TaskAwaitingInput

from currents_airflow import notices
from currents_airflow.operators.base import CurrentsOperator
from currents_core.counted import counted
from currents_core.errors import DeliveryError, shown

if TYPE_CHECKING:
    from airflow.sdk import Context

    from currents_airflow.parts import RunParts
    from currents_core.delivering.estimate import Estimate

_APPROVE, _REJECT = "Approve", "Reject"


class CurrentsApprovalOperator(CurrentsOperator, HITLOperator):
    """Waits for a person where a run would send more than the connector's `approval` allows. Else it succeeds at once.

    It returns the key of the look that was approved of: what the run found to send. Tasks that send demand it.

    :param plans: the list of ``Plan`` that the task before it returned
    """

    # What a person reads is made by the task itself.
    template_fields: Sequence[str] = (*CurrentsOperator.template_fields, "plans")

    def __init__(self, *, plans: Any, **kwargs: Any) -> None:
        super().__init__(subject="May this run send?", options=[_APPROVE, _REJECT], **kwargs)
        self.plans = plans

    def run_step(self, context: Context, parts: RunParts, /) -> str:
        """Returns where nobody has to be asked."""
        limits, what = parts.connector.approval, parts.request.may_need_approval
        if not limits.is_on or not what:
            self.log.info("%s: no approval is needed", self.connector)
            return self._look
        found = _estimate(parts, self._look)
        # Whatever the run's maximum is: each time that its tasks are cleared, as many go again.
        events = found.events
        dollars = None if events is None else parts.connector.dollars(events)
        told = _told(found, events, dollars)
        if not _is_above(events, limits.events) and not _is_above(dollars, limits.dollars):
            self.log.info("%s: no approval is needed for %s", self.connector, told)
            return self._look
        self.subject = f"{self.connector}: {what}, {told}"
        self.body = _body(context, parts)
        self.log.info("%s; waiting until somebody approves or rejects it under Required Actions", self.subject)
        self.notifiers = notices.on_approval(parts.connector)
        try:
            HITLOperator.execute(self, context)
        except TaskAwaitingInput as asked:
            # The run may be planned again before somebody answers.
            asked.kwargs = {"look": self._look}
            raise
        raise AssertionError("Airflow goes on in execute_complete")

    @property
    def _look(self) -> str:
        return self.plans[0]["look"]

    def execute_complete(self, context: Context, event: dict[str, Any], look: str = "") -> str:
        """Returns ``look``, that of the question, if the run was approved. Raises DeliveryError if it was rejected."""
        answer = super().execute_complete(context, event)
        user = answer["responded_by_user"] or {}
        by = user.get("name") or user.get("id") or "somebody"
        if answer["chosen_options"] != [_APPROVE]:
            line = f"{self.connector}: rejected by {by}; nothing was sent. Clear this task to ask again"
            self.log.error("%s", line)
            raise DeliveryError(line)
        self.log.info("%s: approved by %s", self.connector, by)
        return look


def _estimate(parts: RunParts, look: str) -> Estimate:
    from currents_core.delivering.estimate import Estimate, estimate
    from currents_core.finding.discover import Look, with_letters

    found = Look.from_json(parts.plans.read(look))
    if parts.request.is_redrive:
        _, counts = with_letters(parts.ledger, parts.request.hours, parts.request.wants_letter)
        return Estimate(len(found.files), 0, counts.total(), len(found.files))
    return estimate(parts.source, found.files)


def _is_above(value: float | None, limit: float | None) -> bool:
    """Whether a value is above a limit, or may be."""
    return limit is not None and (value is None or value > limit)


def _told(found: Estimate, events: int | None, dollars: float | None) -> str:
    files = counted(found.files, "file")
    if events is None or dollars is None:
        return f"an unknown number of events in {files} of {found.bytes / 1e6:,.1f} MB"
    return f"about {counted(events, 'event')} in {files}, about ${dollars:,.2f}"


def _body(context: Context, parts: RunParts) -> str:
    """What a person reads, in Markdown."""
    request, limits = parts.request, parts.connector.approval
    bounds = [
        limits.events is not None and counted(limits.events, "event"),
        limits.dollars is not None and f"${limits.dollars:,.2f}",
    ]
    by = context["dag_run"].triggering_user_name
    return "\n\n".join(
        [
            f"From `{parts.connector.stream.replace(' → ', '` to `')}`:",
            # Whoever asks may have typed Markdown. No line of it begins with a fence.
            "\n".join(["```", request.summary, *([f"triggered by {shown(by)}"] if by else []), "```"]),
            "The figures are estimates, from the sizes of the files and a look into some of them; duplicates, "
            "filtered rows and rows that were sent before are among them.",
            f"Approval is needed above {' or '.join(each for each in bounds if each)}. If you reject it, nothing is "
            "sent, and the run fails.",
        ]
    )
