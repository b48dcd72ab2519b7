from __future__ import annotations

from io import BytesIO
from urllib.parse import urlsplit

import httpx
import pytest
from awscrt.auth import AwsCredentialsProvider, AwsSigningConfig, aws_sign_request
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import InputStream

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
