"""Service Quotas of EventBridge: how many PutEvents requests a second an account may make in a region.

A model of local AWS, since moto has only VPC's: https://docs.aws.amazon.com/general/latest/gr/ev.html
"""

from __future__ import annotations

from typing import Any

from tests.tools.front_api import ACCOUNT, Api, Call, page, wire_of
from tests.tools.front_wire import Refused

SERVICE = "service-quotas"
SERVICE_CODE = "events"
PUT_EVENTS = "L-9B653E91"
# What a region has by default, and what the regions that are not named have.
DEFAULTS = {
    10_000.0: ("us-east-1", "us-west-2", "eu-west-1"),
    2_400.0: ("us-east-2", "eu-central-1", "eu-south-2"),
    1_200.0: ("us-west-1", "ap-northeast-1", "ap-southeast-1", "ap-southeast-2", "eu-west-2"),
    600.0: ("ap-east-1", "ap-northeast-2", "ap-south-1", "ca-central-1", "eu-north-1", "eu-west-3", "sa-east-1"),
}
OTHER = 400.0


def default_of(region: str) -> float:
    """The quota of a region where none is applied for."""
    return next((value for value, regions in DEFAULTS.items() if region in regions), OTHER)


class Quotas:
    """The quota of every region, as it is applied to the account."""

    def __init__(self) -> None:
        self._applied: dict[str, float] = {}

    def api(self) -> Api:
        """The operations of the service that are modelled."""
        handlers = {
            "GetServiceQuota": self.get,
            "ListServiceQuotas": self.list,
            "GetAWSDefaultServiceQuota": self.get_default,
        }
        return Api(SERVICE, "servicequotas", wire_of(SERVICE), "IllegalArgumentException", handlers)

    def apply(self, region: str, value: float) -> None:
        """Sets the quota of a region. Raises ValueError where the service could not tell such a one."""
        if not 0 <= value <= 10_000_000_000:
            raise ValueError(f"value must be a number from 0 to 10000000000, not {value}")
        self._applied[region] = value

    def reset(self) -> None:
        """Every region has its default again."""
        self._applied.clear()

    async def get(self, call: Call) -> dict[str, Any]:
        """GetServiceQuota: what is applied."""
        return {"Quota": self._applied_quota(call)}

    async def list(self, call: Call) -> dict[str, Any]:
        """ListServiceQuotas: all that are applied, of which there is one."""
        found = [self._applied_quota(call)] if call.get("QuotaCode") in (None, PUT_EVENTS) else []
        quotas, more = page(found, call, "MaxResults")
        return {"Quotas": quotas, **more}

    async def get_default(self, call: Call) -> dict[str, Any]:
        """GetAWSDefaultServiceQuota: what the region has where nothing is applied."""
        return {"Quota": _quota(call, default_of(call.region))}

    def _applied_quota(self, call: Call) -> dict[str, Any]:
        return _quota(call, self._applied.get(call.region, default_of(call.region)))


def _quota(call: Call, value: float) -> dict[str, Any]:
    """A quota as it is told. Raises Refused where another one is asked for."""
    if call.get("QuotaCode") not in (None, PUT_EVENTS):
        raise Refused("NoSuchResourceException", "The quota does not exist.")
    return {
        "ServiceCode": SERVICE_CODE,
        "ServiceName": "Amazon EventBridge (CloudWatch Events)",
        "QuotaArn": f"arn:aws:servicequotas:{call.region}:{ACCOUNT}:{SERVICE_CODE}/{PUT_EVENTS}",
        "QuotaCode": PUT_EVENTS,
        "QuotaName": "PutEvents throttle limit in transactions per second",
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "Period": {"PeriodValue": 1, "PeriodUnit": "SECOND"},
    }
