"""Translates errors of AWS clients into faults of one line: what failed and where, what AWS said, and what to do.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and
https://docs.aws.amazon.com/eventbridge/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import ConnectionError as AwsConnectionError
from botocore.parsers import ResponseParserError

from currents_aws.scrub import scrubbed
from currents_core.errors import CurrentsError, SetupError, TransientError

# What a call of a client raises, and whoever reads its answer.
AwsError = ClientError | BotoCoreError | ResponseParserError
AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)
# The answer is shorter than it said, or another than was asked for: its connection may have been closed in the middle.
_BROKEN = (IncompleteReadError, FlexibleChecksumError, ResponseParserError)

_CREDENTIALS = "check the credentials of the Airflow connection"
_PERMISSION = "grant the permission to the role or user of the Airflow connection"
_REGION = "set the region that it is in"
_CLOCK = "set the clock of this worker right; until then, another try may find another worker"

_REMEDIES = {
    "NoSuchBucket": "create the bucket or correct its name",
    "InvalidObjectState": "restore the object from its archive",
    "ResourceNotFoundException": "create it or correct its name, region or account",
    "InvalidStateException": "wait until it is ACTIVE, or create it anew, then clear the task to resume",
    "LimitExceededException": "delete what is not needed, or ask AWS for a higher quota",
    "AccessDenied": _PERMISSION,
    "AccessDeniedException": _PERMISSION,
    "403": _PERMISSION,
    "NotAuthorizedForSourceException": _PERMISSION,
    "NotAuthorizedForDetailTypeException": _PERMISSION,
    "InvalidAccessKeyId": _CREDENTIALS,
    "InvalidClientTokenId": _CREDENTIALS,
    "UnrecognizedClientException": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "InvalidSignatureException": _CREDENTIALS,
    "ExpiredToken": "renew the session token of the Airflow connection",
    "ExpiredTokenException": "renew the session token of the Airflow connection",
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
}
THROTTLING = frozenset({"SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded"})
_PASSING = THROTTLING | {
    "RequestTimeout",
    "RequestTimeoutException",
    "InternalError",
    "InternalFailure",
    "InternalException",
    # Somebody else was changing the same thing.
    "ConcurrentModificationException",
    "OperationAborted",
    "OperationAbortedException",
}
# Source: https://www.rfc-editor.org/rfc/rfc6585#section-4 and https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9
_TOO_MANY, _TIMEOUT = 429, 408
_PASSING_STATUSES = frozenset({_TOO_MANY, _TIMEOUT})

# How services say that a request was signed at a time that is not theirs: some with a code of its own, the others with
# that of any wrong signature.
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_SKEWED_MESSAGES = ("Signature expired", "Signature not yet current")


def code_of(error: ClientError) -> str:
    """AWS's error code, such as `NoSuchBucket`; `Unknown` if there is none."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def is_passing(code: str, status: int) -> bool:
    """Whether the same call may work later: after throttling, timeouts, and any HTTP status from 500 on."""
    return code in _PASSING or status in _PASSING_STATUSES or status >= 500


def is_throttling(code: str, status: int) -> bool:
    """Whether the call came too soon after others."""
    return code in THROTTLING or status == _TOO_MANY


def remedy(code: str) -> str:
    """What to do about an AWS error code that does not pass by itself."""
    return _REMEDIES.get(code, "correct the setup")


def fault(failure: str, code: str, message: str, status: int, uri: str) -> CurrentsError:
    """The fault for an error that AWS answered with; ``failure`` and ``uri`` as in ``translate``."""
    text = f"{failure}: {scrubbed(code)}: {scrubbed(message)}".rstrip(": ")
    if is_passing(code, status):
        return TransientError(f"{text}; this passes by itself, clear the task to resume", uri=uri, code=code)
    if code in _SKEWED or message.startswith(_SKEWED_MESSAGES):
        return TransientError(f"{text}; {_CLOCK}", uri=uri, code=code)
    return SetupError(f"{text}; {remedy(code)}", uri=uri, code=code)


def translate(error: AwsError, failure: str, uri: str) -> CurrentsError:
    """The fault for an error of botocore. ``failure`` says what failed, such as `read failed`, and ``uri`` where.

    It is a TransientError if the same call may work later, else a SetupError.
    """
    if isinstance(error, ClientError):
        message = str(error.response.get("Error", {}).get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return fault(failure, code_of(error), message, status, uri)
    if isinstance(error, _BROKEN):
        # Its text may have what the answer had.
        why = f"the answer did not arrive whole ({type(error).__name__})"
        return TransientError(f"{failure}: {why}; clear the task to resume", uri=uri)
    text = f"{failure}: {scrubbed(str(error))}"
    if isinstance(error, HTTPClientError | AwsConnectionError):
        return TransientError(f"{text}; check the network, the region and the endpoint", uri=uri)
    if isinstance(error, CredentialRetrievalError):
        return TransientError(f"{text}; if that does not pass by itself, {_CREDENTIALS}", uri=uri)
    return SetupError(f"{text}; {_CREDENTIALS}", uri=uri)
