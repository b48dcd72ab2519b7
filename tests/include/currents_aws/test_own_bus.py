from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from currents_aws.own_bus import OwnBus, account_of
from currents_core.errors import SetupError, TransientError
from tests.tools.local_aws import LocalAws

ACCOUNT = "123456789012"
THEIRS = "arn:aws:events:us-east-1:210987654321:event-bus/theirs"


@pytest.fixture
def bus(aws: LocalAws) -> OwnBus:
    """A bus that is not there yet."""
    return OwnBus(aws.client("events"), f"bus-{uuid.uuid4()}", lambda: ACCOUNT)


def test_the_account_is_that_of_the_credentials(aws: LocalAws) -> None:
    assert account_of(aws.client("sts")) == ACCOUNT


def test_a_bus_is_created_once(bus: OwnBus) -> None:
    assert bus.find() is None
    assert [bus.create(), bus.create()] == [True, False]
    arn = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/{bus.name}"
    assert bus.find() == bus.arn() == arn
    assert OwnBus(bus.client, arn, lambda: ACCOUNT).arn() == arn


def test_two_at_once_create_one(bus: OwnBus) -> None:
    with ThreadPoolExecutor() as threads:
        assert sum(threads.map(lambda _: bus.create(), range(4))) == 1


def test_a_bus_of_another_account_is_not_set_up_from_here(bus: OwnBus) -> None:
    theirs = OwnBus(bus.client, THEIRS, lambda: ACCOUNT)
    for step in (theirs.create, theirs.arn, lambda: theirs.keep_archive("a", 1)):
        with pytest.raises(
            SetupError, match=f"belongs to account 210987654321, and the Airflow connection to {ACCOUNT}"
        ):
            step()


def test_a_bus_that_is_missing_is_told_of_with_what_to_do(bus: OwnBus) -> None:
    with pytest.raises(SetupError, match=f"there is no bus {bus.name} in the connection's account; run this DAG with"):
        bus.arn()


def test_an_archive_is_created_then_kept_then_changed(bus: OwnBus) -> None:
    bus.create()
    name = bus.name[:48]
    assert [bus.keep_archive(name, days) for days in (7, 7, 30)] == ["created", "unchanged", "updated"]
    found = bus.client.describe_archive(ArchiveName=name)
    assert (found["RetentionDays"], found["EventSourceArn"]) == (30, bus.arn())


def test_an_archive_that_keeps_events_longer_is_not_shortened(bus: OwnBus) -> None:
    bus.create()
    name = bus.name[:48]
    bus.keep_archive(name, 30)
    assert bus.keep_archive(name, 7).startswith("left as it is, because it keeps them for 30 days; to shorten that")
    assert bus.client.describe_archive(ArchiveName=name)["RetentionDays"] == 30
    bus.client.delete_archive(ArchiveName=name)
    bus.client.create_archive(ArchiveName=name, EventSourceArn=bus.arn())
    assert bus.keep_archive(name, 7).startswith("left as it is, because it keeps them for ever")


def test_an_archive_of_another_bus_is_left_alone(bus: OwnBus) -> None:
    other = OwnBus(bus.client, f"{bus.name}-2", lambda: ACCOUNT)
    other.create()
    bus.create()
    other.keep_archive(bus.name[:48], 7)
    with pytest.raises(SetupError, match=f"it archives {other.arn()}; delete it"):
        bus.keep_archive(bus.name[:48], 7)


def test_an_archive_that_somebody_creates_at_the_same_time_is_looked_for_again(
    bus: OwnBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus.create()
    create = bus.client.create_archive

    def after_another(**told: Any) -> Any:
        create(**told)
        return create(**told)

    monkeypatch.setattr(bus.client, "create_archive", after_another)
    with pytest.raises(TransientError, match="somebody created it at the same time"):
        bus.keep_archive(bus.name[:48], 7)


@pytest.mark.parametrize("code", ["AccessDeniedException", "LimitExceededException"])
def test_what_aws_refuses_is_one_line_with_a_remedy(bus: OwnBus, code: str) -> None:
    class Refusing:
        meta = bus.client.meta

        def create_event_bus(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": code, "Message": "No."}}, "CreateEventBus")

    client: Any = Refusing()
    with pytest.raises(SetupError, match=f"event bus .* in us-east-1: creation failed: {code}: No.; (grant|delete)"):
        OwnBus(client, "b", lambda: ACCOUNT).create()


def test_a_region_that_does_not_exist_is_told_of(aws: LocalAws) -> None:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2)
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    client: Any = boto3.client(
        "events", "mars-west-1", endpoint_url="http://events.mars-west-1.invalid", config=config, **keys
    )  # type: ignore[call-overload]
    with pytest.raises(TransientError, match=r"lookup failed: Could not connect .*check the network, the region and"):
        OwnBus(client, "b", lambda: ACCOUNT).find()
