from __future__ import annotations

from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.tools.local_aws import LocalAws
from tests.tools.model_check import checked_client

PUT_EVENTS = {"ServiceCode": "events", "QuotaCode": "L-9B653E91"}


def value(answer: dict[str, Any]) -> float:
    return float(answer["Quota"]["Value"])


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ("us-east-1", 10_000),
        ("eu-west-1", 10_000),
        ("eu-central-1", 2_400),
        ("ap-southeast-2", 1_200),
        ("sa-east-1", 600),
        ("me-south-1", 400),
    ],
)
def test_each_region_has_its_default(aws: LocalAws, region: str, told: float) -> None:
    quotas = checked_client(aws, "service-quotas", region)
    assert value(quotas.get_service_quota(**PUT_EVENTS)) == told
    assert value(quotas.get_aws_default_service_quota(**PUT_EVENTS)) == told


@pytest.mark.parametrize("applied", [0, 25_000])
def test_a_quota_may_be_applied_in_a_region_until_the_reset(aws: LocalAws, applied: float) -> None:
    quotas = checked_client(aws, "service-quotas", "eu-west-2")
    aws.set_quota(applied, "eu-west-2")
    assert value(quotas.get_service_quota(**PUT_EVENTS)) == applied
    assert value(quotas.get_aws_default_service_quota(**PUT_EVENTS)) == 1_200
    listed = quotas.list_service_quotas(ServiceCode="events")["Quotas"]
    assert [(each["QuotaCode"], each["Value"]) for each in listed] == [("L-9B653E91", applied)]
    assert value(checked_client(aws, "service-quotas").get_service_quota(**PUT_EVENTS)) == 10_000
    aws.reset()
    assert value(quotas.get_service_quota(**PUT_EVENTS)) == 1_200


def test_another_quota_is_none_and_another_service_is_motos(aws: LocalAws) -> None:
    quotas = checked_client(aws, "service-quotas")
    assert quotas.list_service_quotas(ServiceCode="events", QuotaCode="L-0")["Quotas"] == []
    for call in (quotas.get_service_quota, quotas.get_aws_default_service_quota):
        with pytest.raises(ClientError, match="NoSuchResourceException"):
            call(ServiceCode="events", QuotaCode="L-0")
    assert aws.client("service-quotas").list_aws_default_service_quotas(ServiceCode="vpc")["Quotas"]


def test_it_must_be_signed(aws: LocalAws) -> None:
    headers = {"x-amz-target": "ServiceQuotasV20190624.GetServiceQuota"}
    answer = httpx.post(aws.endpoint, json=PUT_EVENTS, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["__type"]) == (403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize("told", ["-1", "x", "nan", "1e11"])
def test_a_quota_that_can_not_be_is_refused(aws: LocalAws, told: str) -> None:
    url = f"{aws.endpoint}/_front/quotas/us-east-1"
    assert httpx.post(url, content=told, trust_env=False).status_code == 400
