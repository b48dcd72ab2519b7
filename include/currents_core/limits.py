"""The limits and default quotas that EventBridge publishes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The most entries and bytes of one request, and the most bytes of one entry.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html and
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
    """

    entries_per_request: int
    bytes_per_request: int
    bytes_per_entry: int


# AWS says "under 1 MB" both of an entry and of a request. A million bytes is safe however a megabyte is counted.
EVENT_BUS = Limits(entries_per_request=10, bytes_per_request=1_000_000, bytes_per_entry=1_000_000)

# Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPartnerEvents.html
PARTNER_SOURCE = Limits(entries_per_request=20, bytes_per_request=1_000_000, bytes_per_entry=1_000_000)

# A custom bus takes 1 MB, too. AWS does not say whether it counts what is around the entries in CBOR, 24 KB at most.
# Source: https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_PutEvents.html
CUSTOM_BUS = Limits(entries_per_request=100, bytes_per_request=975_000, bytes_per_entry=975_000)

# What a custom bus takes of each event group, in events and kilobytes a second together.
# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
GROUP_QUOTA = 1_500

# The bytes that the Time of an entry counts as.
# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-event-size
TIME_BYTES = 14

_REQUESTS_PER_SECOND = {
    10_000: ("us-east-1", "us-west-2", "eu-west-1"),
    2_400: ("us-east-2", "eu-central-1", "eu-south-2"),
    1_200: ("us-west-1", "ap-northeast-1", "ap-southeast-1", "ap-southeast-2", "eu-west-2"),
    600: ("ap-east-1", "ap-northeast-2", "ap-south-1", "ca-central-1", "eu-north-1", "eu-west-3", "sa-east-1"),
}
_REQUESTS_BY_REGION = {region: rate for rate, regions in _REQUESTS_PER_SECOND.items() for region in regions}
_REQUESTS_ELSEWHERE = 400


def put_events_quota(region: str) -> int:
    """The default PutEvents quota of an account in ``region``, in requests per second for all buses together.

    Source: quota L-9B653E91, https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
    """
    return _REQUESTS_BY_REGION.get(region, _REQUESTS_ELSEWHERE)
