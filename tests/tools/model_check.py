"""boto3 clients that check every answer against botocore's model of it, so that what the front models can't drift.

botocore itself drops members that its model does not have, and converts types: so the bytes are looked at.
"""

from __future__ import annotations

from typing import Any

import boto3
import cbor2
import orjson
from botocore.config import Config

from tests.tools.front_shape import problems, service_model
from tests.tools.local_aws import LocalAws

# What any operation may answer: https://docs.aws.amazon.com/eventbridge/latest/APIReference/CommonErrors.html
COMMON = {
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "NotImplementedException",
    "SerializationException",
    "ServiceUnavailable",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
    "AccessDeniedException",
}


def checked_client(aws: LocalAws, service: str, region: str = "us-east-1", **settings: Any) -> Any:
    """A client of a service that tries once, and raises AssertionError where an answer does not fit the model."""
    config = Config(retries={"total_max_attempts": 1}, **settings)
    client = boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=aws.endpoint,
        region_name=region,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=config,
    )

    def check(event_name: str, response_dict: dict[str, Any] | None = None, **_: Any) -> None:
        if response_dict:
            check_answer(service, event_name.rpartition(".")[2], response_dict)

    client.meta.events.register("response-received", check)
    return client


def check_answer(service: str, operation: str, answer: dict[str, Any]) -> None:
    """Raises AssertionError where an answer, as botocore received it, does not fit the model of its operation."""
    model = service_model(service)
    protocol, told = model.metadata["protocol"], model.operation_model(operation)
    content = _content(protocol, answer)
    if answer["status_code"] >= 300:
        _check_error(told, answer, content)
    elif told.output_shape is None:
        assert content == {}, f"{operation} has no answer"
    else:
        assert [problem.text for problem in problems(content, told.output_shape, protocol)] == []
    if answer["status_code"] < 300:
        assert answer["status_code"] == told.http.get("responseCode", 200)


def _content(protocol: str, answer: dict[str, Any]) -> dict[str, Any]:
    if protocol == "smithy-rpc-v2-cbor":
        assert answer["headers"]["smithy-protocol"] == "rpc-v2-cbor"
        assert answer["headers"]["content-type"] == "application/cbor"
        return dict(cbor2.loads(answer["body"]))
    return dict(orjson.loads(answer["body"] or b"{}"))


def _check_error(operation: Any, answer: dict[str, Any], content: dict[str, Any]) -> None:
    code = str(content.get("__type") or content.get("Code")).rpartition("#")[2]
    errors = {shape.name: shape for shape in operation.error_shapes}
    assert code in errors.keys() | COMMON, f"{operation.name} has no error {code}"
    status = errors[code].metadata.get("error", {}).get("httpStatusCode") if code in errors else None
    assert status in (None, answer["status_code"])
    assert (content.get("Message") or content.get("message") or "").strip()
