from __future__ import annotations

import pytest

from currents_aws.console import bus_address, folder_address, log_address, object_address, sources_address


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "console.aws.amazon.com"),
        ("cn-north-1", "console.amazonaws.cn"),
        ("us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
def test_each_partition_has_a_console_of_its_own(region: str, host: str) -> None:
    assert bus_address(region, "b") == f"https://{host}/events/home?region={region}#/eventbus/b"
    assert folder_address(region, "b", "in/") == f"https://{host}/s3/buckets/b?prefix=in%2F"
    assert sources_address(region) == f"https://{host}/events/home?region={region}#/partners"


def test_names_are_quoted_and_a_bus_may_be_an_arn() -> None:
    arn = "arn:aws:events:us-east-1:123456789012:event-bus/team/orders"
    assert bus_address("us-east-1", arn).endswith("#/eventbus/team%2Forders")
    key = "state/a b&c=d/date=2026-11-23-08.json"
    assert object_address("us-east-1", "b", key).endswith("?prefix=state%2Fa%20b%26c%3Dd%2Fdate%3D2026-11-23-08.json")


def test_the_console_has_a_way_of_its_own_to_quote_log_groups() -> None:
    assert log_address("us-east-1", "/aws/events/a b").endswith(
        "#logsV2:log-groups/log-group/$252Faws$252Fevents$252Fa$2520b"
    )
