"""Signature Version 4, checked with the credentials of local AWS: moto checks none.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from http.client import HTTPMessage
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from starlette.requests import Request

from tests.tools.front_wire import Refused
from tests.tools.local_aws import CREDENTIALS

ACCESS_KEY, SECRET_KEY = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,]+)/(?P<day>\d{8})/(?P<region>[^/,]+)/(?P<service>[^/,]+)/aws4_request,"
    r" ?SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


class _AsSigned(SigV4Auth):
    """botocore's signer over the headers that a request names, whoever signed it, instead of those it would choose."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPMessage:
        """All that are there."""
        return request.headers


def region_of(request: Request) -> str | None:
    """The region that a request says it is signed for, unchecked."""
    told = AUTHORIZATION.match(request.headers.get("authorization", ""))
    return told["region"] if told else None


def check_signature(request: Request, body: bytes, service: str) -> str:
    """The region of a request that is signed for a service, in any region. Raises Refused where it is not."""
    header = request.headers.get("authorization")
    if header is None:
        raise Refused("MissingAuthenticationTokenException", "The request is not signed.", 403)
    told = AUTHORIZATION.fullmatch(header)
    stamp = request.headers.get("x-amz-date", "")
    if not told or not stamp.startswith(told["day"]) or not {"host", "x-amz-date"} <= set(told["names"].split(";")):
        raise Refused("IncompleteSignatureException", "The Authorization header or X-Amz-Date is incomplete.", 400)
    if told["key"] != ACCESS_KEY:
        raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.", 403)
    is_body = request.headers.get("x-amz-content-sha256", sha256(body).hexdigest()) == sha256(body).hexdigest()
    expected = _signature(request, body, told, stamp)
    if told["service"] != service or not is_body or not hmac.compare_digest(expected, told["signature"]):
        message = f"The signature of the request is not that of its content, keys, and the service {service}."
        raise Refused("InvalidSignatureException", message, 403)
    return told["region"]


def _signature(request: Request, body: bytes, told: re.Match[str], stamp: str) -> str:
    query = request.scope["query_string"].decode("latin-1")
    url = f"http://{request.headers.get('host', '')}{request.scope['raw_path'].decode('latin-1')}?{query}"
    signed: Any = AWSRequest(request.method, url, data=body)
    names = set(told["names"].split(";"))
    for name, value in request.headers.items():
        if name in names:
            signed.headers[name] = value
    signed.context["timestamp"] = stamp
    signer = _AsSigned(Credentials(ACCESS_KEY, SECRET_KEY), told["service"], told["region"])
    return signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed)
