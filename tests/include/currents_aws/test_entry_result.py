from __future__ import annotations

import pytest

from currents_aws.entry_result import entry_result
from currents_core.ports import SENT, Failed, Invalid


def test_no_code_is_a_success() -> None:
    assert entry_result("", "") == SENT


@pytest.mark.parametrize("code", ["InternalFailure", "InternalException"])
def test_a_fault_of_the_service_passes(code: str) -> None:
    assert entry_result(code, "m") == Failed(code, "m", "outage")


def test_throttling_is_told_apart_from_faults() -> None:
    assert entry_result("ThrottlingException", "m") == Failed("ThrottlingException", "m", "throttled")


@pytest.mark.parametrize("code", ["InvalidArgument", "MalformedDetail", "RedactionFailure"])
def test_an_entry_at_fault_is_never_accepted(code: str) -> None:
    assert entry_result(code, "m") == Invalid(code, "m")


@pytest.mark.parametrize(
    "code",
    [
        "AccessDeniedException",
        "InvalidAccountIdException",
        "NotAuthorizedForSourceException",
        "NotAuthorizedForDetailTypeException",
    ],
)
def test_a_policy_that_refuses_is_told_apart(code: str) -> None:
    assert entry_result(code, "m") == Invalid(code, "m", by_policy=True)


def test_an_undocumented_code_may_pass() -> None:
    assert entry_result("Brandnew", "?") == Failed("Brandnew", "?", "undocumented")
