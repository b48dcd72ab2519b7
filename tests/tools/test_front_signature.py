from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from urllib.parse import urlsplit

import httpx
import pytest
from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import InputStream
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from tests.tools.front_signature import REGION_SET, check_asymmetric_signature, public_key
from tests.tools.front_wire import Refused
from tests.tools.local_aws import LocalAws

BODY = b'{"ServiceCode":"events","QuotaCode":"L-9B653E91"}'


def signed_by_awscrt(
    aws: LocalAws, method: str, path: str, service: str, body: bytes, **headers: str
) -> httpx.Response:
    """The answer to a request that AWS's Common Runtime signs, as exports do."""
    told = {"host": urlsplit(aws.endpoint).netloc, "content-length": str(len(body))} | headers
    request = HttpRequest(method, path, HttpHeaders(list(told.items())), InputStream(BytesIO(body)))
    config = AwsSigningConfig(
        credentials_provider=AwsCredentialsProvider.new_static("testing", "testing"),
        region="eu-west-1",
        service=service,
    )
    aws_sign_request(request, config).result(10)
    return httpx.request(method, f"{aws.endpoint}{path}", headers=list(request.headers), content=body, trust_env=False)


def test_a_request_that_another_signer_signed_is_taken(aws: LocalAws) -> None:
    target = {"x-amz-target": "ServiceQuotasV20190624.GetServiceQuota"}
    answer = signed_by_awscrt(aws, "POST", "/", "servicequotas", BODY, **target)
    assert (answer.status_code, answer.json()["Quota"]["Value"]) == (200, 10_000)


@pytest.mark.parametrize("name", ["plain", "a%20b%40c%C3%A9"])
def test_paths_and_queries_are_signed_too(aws: LocalAws, name: str) -> None:
    path = f"/v1/registries/name/{name}/schemas?limit=2&schemaNamePrefix=b%20c"
    answer = signed_by_awscrt(aws, "GET", path, "schemas", b"")
    assert (answer.status_code, "does not exist" in answer.json()["Message"]) == (400, True)
    headers = list(answer.request.headers.items())
    other = httpx.get(f"{aws.endpoint}{path.replace('limit=2', 'limit=3')}", headers=headers, trust_env=False)
    assert (other.status_code, other.json()["Code"]) == (403, "InvalidSignatureException")


def test_a_body_that_is_not_the_one_that_was_signed_is_refused(aws: LocalAws) -> None:
    target = {"x-amz-target": "ServiceQuotasV20190624.GetServiceQuota"}
    answer = signed_by_awscrt(aws, "POST", "/", "servicequotas", BODY, **target)
    headers = list(answer.request.headers.items())
    other = httpx.post(aws.endpoint, content=BODY.replace(b"L-9", b"L-8"), headers=headers, trust_env=False)
    assert (other.status_code, other.json()["__type"]) == (403, "InvalidSignatureException")


def signed_for_regions(region_set: str, secret_key: str = "testing", service: str = "events") -> Request:
    """A PutEvents request that AWS's Common Runtime signs with Signature Version 4A, as the front sees it."""
    headers = HttpHeaders([("host", "localhost"), ("content-length", str(len(BODY)))])
    request = HttpRequest("POST", "/", headers, InputStream(BytesIO(BODY)))
    config = AwsSigningConfig(
        algorithm=AwsSigningAlgorithm.V4_ASYMMETRIC,
        credentials_provider=AwsCredentialsProvider.new_static("testing", secret_key),
        region=region_set,
        service=service,
    )
    aws_sign_request(request, config).result(10)
    return received(list(request.headers))


def received(headers: list[tuple[str, str]]) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    return Request(
        {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": raw}
    )


def refusal(request: Request, body: bytes = BODY) -> str:
    with pytest.raises(Refused) as refused:
        check_asymmetric_signature(request, body, "events")
    return refused.value.fault.code


@pytest.mark.parametrize("region_set", ["*", "us-east-1,us-west-2"])
def test_what_is_signed_for_several_regions_is_taken_for_them(region_set: str) -> None:
    # Each signature is another, so that one in 256 is a byte shorter.
    for _ in range(20):
        assert check_asymmetric_signature(signed_for_regions(region_set), BODY, "events") == region_set.split(",")


def test_what_is_signed_wrongly_for_several_regions_is_refused() -> None:
    assert refusal(signed_for_regions("*", secret_key="other")) == "InvalidSignatureException"
    assert refusal(signed_for_regions("*", service="schemas")) == "InvalidSignatureException"
    assert refusal(signed_for_regions("*"), b"{}") == "InvalidSignatureException"
    assert refusal(received([])) == "MissingAuthenticationTokenException"
    headers = [(name.decode(), value.decode()) for name, value in signed_for_regions("us-east-1").headers.raw]
    for_all = [(name, "*" if name == REGION_SET else value) for name, value in headers]
    assert refusal(received(for_all)) == "InvalidSignatureException"
    uncovered = [(name, value.replace(f";{REGION_SET}", "")) for name, value in headers]
    assert refusal(received(uncovered)) == "IncompleteSignatureException"


@given(st.text("ABCDEF234567", min_size=16, max_size=20), st.text(min_size=1, max_size=40))
def test_the_key_follows_from_the_credentials_as_awss_own_signer_has_it(access_key: str, secret_key: str) -> None:
    headers = HttpHeaders([("host", "localhost"), ("content-length", "0")])
    config = AwsSigningConfig(
        algorithm=AwsSigningAlgorithm.V4_ASYMMETRIC,
        signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=AwsCredentialsProvider.new_static(access_key, secret_key.encode().hex()),
        region="*",
        service="events",
        date=datetime(2026, 11, 28, tzinfo=UTC),
    )
    signed = aws_sign_request(HttpRequest("POST", "/", headers), config).result(10)
    names = "content-length;host;x-amz-date;x-amz-region-set"
    told = {name.lower(): value for name, value in signed.headers}
    assert f"SignedHeaders={names}," in told["authorization"]
    lines = [f"{name}:{told[name]}" for name in names.split(";")]
    canonical = "\n".join(["POST", "/", "", *lines, "", names, sha256().hexdigest()])
    hashed = sha256(canonical.encode()).hexdigest()
    text = f"AWS4-ECDSA-P256-SHA256\n20261128T000000Z\n20261128/events/aws4_request\n{hashed}"
    signature = bytes.fromhex(told["authorization"].rpartition("Signature=")[2])
    public_key(access_key, secret_key.encode().hex()).verify(signature, text.encode(), ec.ECDSA(SHA256()))
