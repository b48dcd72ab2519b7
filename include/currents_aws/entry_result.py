"""What EventBridge's error codes for single entries mean for sending.

Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
"""

from __future__ import annotations

from typing import Literal

from currents_core.ports import SENT, Failed, Invalid, Result

_CAUSES: dict[str, Literal["throttled", "outage"]] = {
    "ThrottlingException": "throttled",
    "InternalFailure": "outage",
    "InternalException": "outage",
}
# These go away only if somebody changes a policy.
_BY_POLICY = frozenset(
    {
        "AccessDeniedException",
        "InvalidAccountIdException",
        "NotAuthorizedForSourceException",
        "NotAuthorizedForDetailTypeException",
    }
)
_FINAL = frozenset({"InvalidArgument", "MalformedDetail", "RedactionFailure"})


def entry_result(code: str, message: str) -> Result:
    """The result of an entry, from the error code and message in its answer. An empty code means that it was accepted.

    An undocumented code may be temporary, so the entry may be sent again.
    """
    if not code:
        return SENT
    if code in _BY_POLICY or code in _FINAL:
        return Invalid(code, message, by_policy=code in _BY_POLICY)
    return Failed(code, message, _CAUSES.get(code, "undocumented"))
