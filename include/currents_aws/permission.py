"""Finds out whether events may be sent, by entries that EventBridge refuses for their form alone: nothing arrives.

AWS authorizes a request before it carries it out, and a malformed entry is a result of carrying it out. So an answer
that finds fault with the entry means that the request was allowed. CloudWatch counts such an entry as failed, in
PutEventsFailedEntriesCount.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/intro-structure.html,
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html and
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import orjson
import pyarrow as pa

from currents_aws.aws_errors import remedy
from currents_core.entry import Common, Entries, Made, Span
from currents_core.errors import CurrentsError, SetupError
from currents_core.ports import Failed, Finding, Invalid, Result, Target

# No JSON at all: some emulators take any JSON, and would publish it.
_DETAIL = "A probe of the exporter. It is no JSON object, so that it is refused and nobody gets it."
# The beginning of 2026, a time like that of any event.
_TIME = 1_767_225_600
_WHAT = "permission"
_DENIED = frozenset({"AccessDeniedException", "AccessDenied", "403"})


def permission(target: Target, action: str, uri: str, probes: Sequence[Common]) -> Finding:
    """Tries to send what is refused for its form, until one of the ``probes`` is not denied. There must be one.

    ``action`` is what a policy has to allow, such as `events:PutEvents`, on the resource that ``uri`` names. Raises
    SetupError if all of them are denied, or if nothing can be sent for another reason.
    """
    denied: dict[str, str] = {}
    for probe in probes:
        result = _result(target, probe)
        refusal = _refusal(result)
        if not refusal:
            found, is_warning = _found(result, action)
            if denied:
                found += f", but {_told(action, denied)}"
            return Finding(_WHAT, found, is_warning or bool(denied))
        denied[probe.detail_type] = refusal
    raise SetupError(_told(action, denied), uri=uri)


def _told(action: str, denied: Mapping[str, str]) -> str:
    """Of which event types the action is denied, and what is said of the first."""
    return f"{action} is denied of {' and of '.join(denied)}: {next(iter(denied.values()))}"


def _result(target: Target, probe: Common) -> Result | SetupError:
    """What becomes of an entry without JSON. Raises the error that ends all sending, unless that is a denial."""
    told: Future[Sequence[Result] | CurrentsError] = Future()
    target.send([_span(target, probe)], told.set_result)
    results = told.result()
    if not isinstance(results, CurrentsError):
        return results[0]
    if isinstance(results, SetupError) and results.code in _DENIED:
        return results
    raise results


def _span(target: Target, probe: Common) -> Span:
    text = orjson.dumps(_DETAIL).decode() if target.wire.is_nested else _DETAIL
    written = target.wire.written(
        probe, [pa.array([text], pa.large_string())], pa.array([_TIME], pa.int64()), pa.array(["probe"])
    )
    return Span(Entries([0], probe, target.wire, written, [len(text)], Made()), 0, 1)


def _refusal(result: Result | SetupError) -> str:
    """What is said if a policy refused the entry, and what to do; else empty."""
    if isinstance(result, SetupError):
        return result.message
    if isinstance(result, Invalid) and result.by_policy:
        return f"{result.code}: {result.message}; {remedy(result.code)}"
    return ""


def _found(result: Result | SetupError, action: str) -> tuple[str, bool]:
    """What the answer to a probe that was not denied tells, and whether it is a warning."""
    if isinstance(result, Failed):
        return f"not told, because a probe of {action} failed ({result.code}); the sending will tell", False
    if not isinstance(result, Invalid):
        return f"{action} is allowed, but the probe was taken, which EventBridge itself would have refused", True
    if result.whole_request:
        return f"not told, because a probe of {action} was refused as a whole ({result.code})", False
    return f"{action} is allowed (a malformed entry was refused for its form, {result.code})", False
