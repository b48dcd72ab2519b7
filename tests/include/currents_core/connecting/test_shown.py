from __future__ import annotations

from currents_core.connecting.shown import customer_steps, subscriber_example

SOURCE = "aws.partner/example.com/orders/123456789012"


def test_the_steps_name_account_region_source_and_page() -> None:
    first, *steps = customer_steps(SOURCE, "123456789012", "eu-west-1", "https://console").splitlines()
    assert first == "In AWS account 123456789012, region eu-west-1, somebody has to:"
    assert len(steps) == 3
    assert steps[0].endswith("open https://console")
    assert f"choose {SOURCE}" in steps[1]


def test_the_example_is_of_the_bus_s_partition() -> None:
    bus = "arn:aws-cn:events:cn-north-1:123456789012:event-busv2/b/abcdefghijklmnopqrstuvwxy"
    told = subscriber_example(bus)
    assert "arn:aws-cn:sqs:cn-north-1:123456789012:QUEUE" in told
    assert f"--event-bus-arn {bus}" in told
