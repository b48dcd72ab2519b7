from __future__ import annotations

import pytest

from currents_aws.regions import CUSTOM_BUSES, why_silent


@pytest.mark.parametrize("region", ["us-east-1", "eu-south-2", "cn-north-1", "us-gov-west-1"])
def test_a_region_of_any_partition_should_answer(region: str) -> None:
    assert why_silent("events", region) is None


@pytest.mark.parametrize("service", ["events", CUSTOM_BUSES])
def test_a_region_that_does_not_exist_is_told_with_what_was_meant(service: str) -> None:
    told = why_silent(service, "eu-centrl-1")
    assert told
    assert "knows no region eu-centrl-1; did you mean `eu-central-1`?; correct destination.region" in told


def test_a_region_without_the_second_generation_is_told_with_those_that_have_it() -> None:
    assert why_silent(CUSTOM_BUSES, "us-east-1") is None
    told = why_silent(CUSTOM_BUSES, "eu-west-3")
    assert told
    assert "knows no custom buses in eu-west-3, only in ap-east-1, " in told
    assert told.endswith("or send to an event_bus")
