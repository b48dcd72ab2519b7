"""Signature Version 4, and 4A for several regions at once, checked with the credentials of local AWS: moto checks none.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from http.client import HTTPMessage
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from starlette.requests import Request

from tests.tools.front_wire import Refused
from tests.tools.local_aws import CREDENTIALS

ACCESS_KEY, SECRET_KEY = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,]+)/(?P<day>\d{8})/(?P<region>[^/,]+)/(?P<service>[^/,]+)/aws4_request,"
    r" ?SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
# Its scope has no region: the regions are told by a header.
ASYMMETRIC = "AWS4-ECDSA-P256-SHA256"
ASYMMETRIC_AUTHORIZATION = re.compile(
    ASYMMETRIC + r" Credential=(?P<key>[^/,]+)/(?P<day>\d{8})/(?P<service>[^/,]+)/aws4_request,"
    r" ?SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>(?:[0-9a-f]{2}){1,72})"
)
REGION_SET = "x-amz-region-set"
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
MOST_SKEW = timedelta(minutes=5)
# Of the curve P-256: https://csrc.nist.gov/pubs/sp/800/186/final
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class _AsSigned(SigV4Auth):
    """botocore's signer over the headers that a request names, whoever signed it, instead of those it would choose."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPMessage:
        """All that are there."""
        return request.headers


def signed_at(request: Request) -> datetime | None:
    """The second in which a request says it was signed, if it says so."""
    try:
        return datetime.strptime(request.headers.get("x-amz-date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def skew(request: Request, now: datetime) -> str | None:
    """What is wrong with the time at which a request says it was signed, if it says so."""
    signed = signed_at(request)
    if not signed or abs(signed - now) <= MOST_SKEW:
        return None
    kind, order = ("expired", "earlier") if signed < now else ("not yet current", "later")
    return f"Signature {kind}: {signed:%Y%m%dT%H%M%SZ} is now {order} than {now:%Y%m%dT%H%M%SZ} (5 min.)"


def region_of(request: Request) -> str | None:
    """The region that a request says it is signed for, unchecked."""
    told = AUTHORIZATION.match(request.headers.get("authorization", ""))
    return told["region"] if told else None


def check_signature(request: Request, body: bytes, service: str) -> str:
    """The region of a request that is signed for a service, in any region. Raises Refused where it is not."""
    told, stamp = _told(request, AUTHORIZATION, {"host", "x-amz-date"})
    signer = _AsSigned(Credentials(ACCESS_KEY, SECRET_KEY), told["service"], told["region"])
    signed = _signed(request, body, told, stamp)
    expected = signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed)
    _require(service, told, _is_body(request, body) and hmac.compare_digest(expected, told["signature"]))
    return told["region"]


def check_asymmetric_signature(request: Request, body: bytes, service: str) -> list[str]:
    """The regions, or `*`, that a request is signed for with Signature Version 4A. Raises Refused where it is not."""
    told, stamp = _told(request, ASYMMETRIC_AUTHORIZATION, {"host", "x-amz-date", REGION_SET})
    signer = _AsSigned(Credentials(ACCESS_KEY, SECRET_KEY), told["service"], "")
    canonical = signer.canonical_request(_signed(request, body, told, stamp))
    scope = f"{told['day']}/{told['service']}/aws4_request"
    text = "\n".join((ASYMMETRIC, stamp, scope, sha256(canonical.encode()).hexdigest()))
    _require(service, told, _is_body(request, body) and _is_signed(text, told["signature"]))
    return request.headers[REGION_SET].split(",")


def _told(request: Request, form: re.Pattern[str], needed: set[str]) -> tuple[re.Match[str], str]:
    """What the Authorization header tells, and the time of the signature, which covers the headers ``needed``."""
    header = request.headers.get("authorization")
    if header is None:
        raise Refused("MissingAuthenticationTokenException", "The request is not signed.", 403)
    told, stamp = form.fullmatch(header), request.headers.get("x-amz-date", "")
    if not told or not stamp.startswith(told["day"]) or not needed <= set(told["names"].split(";")):
        raise Refused("IncompleteSignatureException", "The Authorization header or X-Amz-Date is incomplete.", 400)
    if wrong := skew(request, datetime.now(UTC)):
        raise Refused("InvalidSignatureException", wrong, 403)
    if told["key"] != ACCESS_KEY:
        raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.", 403)
    return told, stamp


def _require(service: str, told: re.Match[str], is_right: bool) -> None:
    if told["service"] != service or not is_right:
        message = f"The signature of the request is not that of its content, keys, and the service {service}."
        raise Refused("InvalidSignatureException", message, 403)


def _is_body(request: Request, body: bytes) -> bool:
    """Whether the hash of the body that a header tells, if it does, is that of the body."""
    found = sha256(body).hexdigest()
    return request.headers.get("x-amz-content-sha256", found) == found


def _signed(request: Request, body: bytes, told: re.Match[str], stamp: str) -> Any:
    """The request with the headers that its signature covers, as botocore's signers take it."""
    query = request.scope["query_string"].decode("latin-1")
    url = f"http://{request.headers.get('host', '')}{request.scope['raw_path'].decode('latin-1')}?{query}"
    signed: Any = AWSRequest(request.method, url, data=body)
    names = set(told["names"].split(";"))
    for name, value in request.headers.items():
        if name in names:
            signed.headers[name] = value
    signed.context["timestamp"] = stamp
    return signed


def _is_signed(text: str, signature: str) -> bool:
    try:
        public_key(ACCESS_KEY, SECRET_KEY).verify(bytes.fromhex(signature), text.encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


@cache
def public_key(access_key: str, secret_key: str) -> ec.EllipticCurvePublicKey:
    """The public half of the key that signatures of version 4A are made with, which follows from the credentials.

    The first candidate that lies within the curve's order is taken (FIPS 186-4, B.4.2). Each is derived by HMAC in
    counter mode (NIST SP 800-108, 4.1).

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    for counter in range(1, 255):
        derivation = KBKDFHMAC(
            algorithm=SHA256(),
            mode=Mode.CounterMode,
            length=32,
            rlen=4,
            llen=4,
            location=CounterLocation.BeforeFixed,
            label=ASYMMETRIC.encode(),
            context=access_key.encode() + bytes([counter]),
            fixed=None,
        )
        candidate = int.from_bytes(derivation.derive(b"AWS4A" + secret_key.encode()), "big")
        if candidate <= ORDER - 2:
            return ec.derive_private_key(candidate + 1, ec.SECP256R1()).public_key()
    raise ValueError("no key follows from these credentials")
