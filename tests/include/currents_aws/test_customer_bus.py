from __future__ import annotations

import uuid
from typing import Any

import pytest

from currents_aws.customer_bus import CustomerBus
from currents_core.errors import SetupError, TransientError
from tests.tools.local_aws import LocalAws
from tests.tools.model_check import checked_client

ACCOUNT = "123456789012"


@pytest.fixture
def client(aws: LocalAws) -> Any:
    aws.register_partner()
    return checked_client(aws, "events")


@pytest.fixture
def bus(client: Any) -> CustomerBus:
    """The bus, which is not there yet, of a source that is PENDING."""
    name = f"aws.partner/braze.test/orders/{uuid.uuid4()}"
    client.create_partner_event_source(Name=name, Account=ACCOUNT)
    return CustomerBus(client, name)


def state(bus: CustomerBus) -> str:
    return str(bus.client.describe_event_source(Name=bus.source)["State"])


def test_a_source_is_associated_once(bus: CustomerBus) -> None:
    assert [bus.associate(), bus.associate()] == ["associated", "unchanged"]
    assert state(bus) == "ACTIVE"


def test_a_source_whose_bus_was_deleted_is_associated_again(client: Any, bus: CustomerBus) -> None:
    bus.associate()
    client.delete_event_bus(Name=bus.source)
    assert state(bus) == "PENDING"
    assert bus.associate() == "associated"


def test_a_source_that_was_deactivated_is_activated(client: Any, bus: CustomerBus) -> None:
    bus.associate()
    client.deactivate_event_source(Name=bus.source)
    assert bus.associate() == "activated"
    assert state(bus) == "ACTIVE"


def test_a_bus_that_an_earlier_source_left_is_told_of(client: Any, bus: CustomerBus) -> None:
    bus.associate()
    client.delete_partner_event_source(Name=bus.source, Account=ACCOUNT)
    with pytest.raises(TransientError, match="the customer's account does not see it yet"):
        bus.associate()
    client.create_partner_event_source(Name=bus.source, Account=ACCOUNT)
    with pytest.raises(SetupError, match="its bus is left over from an earlier source of the same name; delete that"):
        bus.associate()
    client.delete_event_bus(Name=bus.source)
    assert bus.associate() == "associated"


def test_a_source_that_is_not_there_may_come(client: Any) -> None:
    with pytest.raises(TransientError, match="clear the task `create`"):
        CustomerBus(client, f"aws.partner/braze.test/{uuid.uuid4()}/x").associate()
