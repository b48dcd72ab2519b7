from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    FlexibleChecksumError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from currents_aws.aws_errors import AwsError, translate
from currents_core.errors import CurrentsError, SetupError, TransientError


def client_error(code: str, status: int = 400, message: str = "Why.") -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutEvents")


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (client_error("AccessDenied", 403), SetupError, "grant the permission"),
        (client_error("NoSuchBucket", 404), SetupError, "create the bucket"),
        (client_error("ResourceNotFoundException"), SetupError, "create it or correct its name"),
        (client_error("UnrecognizedClientException"), SetupError, "check the credentials"),
        (client_error("ExpiredToken"), SetupError, "renew the session token"),
        (client_error("PermanentRedirect", 301), SetupError, "set the region"),
        (client_error("SlowDown", 503), TransientError, "clear the task to resume"),
        (client_error("ThrottlingException"), TransientError, "clear the task to resume"),
        (client_error("OperationAborted", 409), TransientError, "clear the task to resume"),
        (client_error("InvalidObjectState", 403), SetupError, "restore the object from its archive"),
        (client_error("SomethingNew", 500), TransientError, "clear the task to resume"),
        (client_error("SomethingNew", 418), SetupError, "correct the setup"),
        # Another worker may have the right time.
        (client_error("RequestTimeTooSkewed", 403), TransientError, "set the clock of this worker right"),
        (client_error("RequestExpired"), TransientError, "set the clock of this worker right"),
        *(
            (client_error("InvalidSignatureException", 403, message), TransientError, "set the clock of this worker")
            for message in (
                "Signature expired: 20261129T000000Z is now earlier than 20261129T000500Z (20261129T001000Z - 5 min.)",
                "Signature not yet current: 20261129T001000Z is still later than 20261129T000500Z",
            )
        ),
        (client_error("InvalidSignatureException", 403), SetupError, "check the credentials"),
        (NoCredentialsError(), SetupError, "check the credentials"),
        (
            CredentialRetrievalError(provider="assume-role", error_msg="timed out"),
            TransientError,
            "if that does not pass by itself, check the credentials",
        ),
        (EndpointConnectionError(endpoint_url="https://events.eu-nowhere-1.amazonaws.com"), TransientError, "region"),
        (ReadTimeoutError(endpoint_url="https://x"), TransientError, "network"),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), TransientError, "clear the task to resume"),
        (FlexibleChecksumError(error_msg="Why."), TransientError, "clear the task to resume"),
        (ResponseParserError("Unable to parse response: ada@example.com"), TransientError, "clear the task to resume"),
    ],
)
def test_each_fault_has_the_class_of_what_to_do_next_and_says_it(
    error: AwsError, kind: type[CurrentsError], remedy: str
) -> None:
    translated = translate(error, "read failed", "s3://b/k")
    assert type(translated) is kind
    assert str(translated).startswith("s3://b/k: read failed: ")
    assert translated.uri == "s3://b/k"
    assert translated.code == (error.response["Error"]["Code"] if isinstance(error, ClientError) else "")
    assert remedy in str(translated)
    assert "\n" not in str(translated)
    assert "ada@" not in str(translated), "what an answer had is nobody's business"
