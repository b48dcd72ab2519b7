from __future__ import annotations

import pytest

from currents_core.limits import put_events_quota


@pytest.mark.parametrize(
    ("region", "quota"),
    [("us-east-1", 10_000), ("eu-central-1", 2_400), ("eu-west-2", 1_200), ("sa-east-1", 600), ("af-south-1", 400)],
)
def test_the_quota_is_the_published_one(region: str, quota: int) -> None:
    assert put_events_quota(region) == quota
