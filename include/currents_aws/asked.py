"""One question to AWS, by a client or over a transport: what it answers, or a fault that says what failed and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import cbor2
from botocore.exceptions import ClientError

from currents_aws.aws_errors import AWS_ERRORS, code_of, fault, translate
from currents_aws.scrub import scrubbed
from currents_aws.transport import Answer, NoAnswer, Transport
from currents_core.errors import CurrentsError, TransientError

_NETWORK = "check the network, the endpoint, and whether the region has this service"


def asked(call: Callable[..., Any], uri: str, failure: str, expected: str | None = None, **told: Any) -> Any:
    """What a call of a client answers, or None if the answer is the error with the code that is ``expected``.

    ``failure`` says what failed, such as `lookup failed`, and ``uri`` what the call is about. Raises any other error as
    SetupError, or as TransientError if the call may work later.
    """
    try:
        return call(**told)
    except AWS_ERRORS as error:
        if expected and isinstance(error, ClientError) and code_of(error) == expected:
            return None
        raise translate(error, failure, uri) from error


def pages(call: Callable[..., Any], key: str, **told: Any) -> Iterator[Any]:
    """What all pages of a listing have under ``key``, for operations that botocore has no paginator for."""
    while True:
        page = call(**told)
        yield from page[key]
        if not page.get("NextToken"):
            return
        told["NextToken"] = page["NextToken"]


def asked_over(
    transport: Transport, operation: str, uri: str, failure: str, expected: str | None = None, **told: Any
) -> Mapping[str, Any] | None:
    """The same, of an operation of a service that speaks CBOR, the way that its events go."""
    outcome: Future[Answer | NoAnswer | CurrentsError] = Future()
    transport.send(operation, cbor2.dumps(told), outcome.set_result)
    answer = outcome.result()
    if isinstance(answer, CurrentsError):
        raise answer
    if isinstance(answer, NoAnswer):
        raise TransientError(f"{failure}: no answer ({scrubbed(answer.reason)}); {_NETWORK}", uri=uri)
    if answer.code and answer.code == expected:
        return None
    if answer.code:
        raise fault(failure, answer.code, answer.message, answer.status, uri)
    return answer.output
