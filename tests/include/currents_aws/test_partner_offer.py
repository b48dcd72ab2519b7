from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from currents_aws.partner_offer import PartnerOffer
from currents_core.errors import SetupError, TransientError
from tests.tools.local_aws import LocalAws
from tests.tools.model_check import checked_client

ACCOUNT, OTHER = "123456789012", "210987654321"
DAY = 86_400


@pytest.fixture
def client(aws: LocalAws) -> Any:
    aws.register_partner()
    return checked_client(aws, "events")


@pytest.fixture
def offer(client: Any) -> PartnerOffer:
    return PartnerOffer(client, f"aws.partner/braze.test/orders/{uuid.uuid4()}", ACCOUNT)


def test_a_source_is_made_once_and_says_when_it_expires(offer: PartnerOffer) -> None:
    assert offer.look() is None
    first, was_made = offer.make()
    assert (first.state, was_made) == ("PENDING", True)
    assert first.expires
    assert first.created
    assert first.expires - first.created == timedelta(days=7)
    assert offer.make() == (first, False)


def test_two_at_once_make_one(offer: PartnerOffer) -> None:
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(lambda _: offer.make(), range(4)))
    assert len({each for each, _ in found}) == 1
    assert sum(made for _, made in found) == 1


def test_a_source_that_the_customer_has_a_bus_for_stays_as_it_is(client: Any, offer: PartnerOffer) -> None:
    offer.make()
    client.create_event_bus(Name=offer.name, EventSourceName=offer.name)
    found, was_made = offer.make()
    assert (found.state, was_made) == ("ACTIVE", False)


@pytest.mark.parametrize("has_bus", [False, True])
def test_a_source_that_was_deleted_is_made_again(client: Any, offer: PartnerOffer, has_bus: bool) -> None:
    offer.make()
    if has_bus:
        client.create_event_bus(Name=offer.name, EventSourceName=offer.name)
    client.delete_partner_event_source(Name=offer.name, Account=ACCOUNT)
    found, was_made = offer.make()
    assert (found.state, was_made) == ("PENDING", True)


def test_a_source_that_expired_is_made_again(aws: LocalAws, offer: PartnerOffer) -> None:
    offer.make()
    aws.forward(7 * DAY)
    assert offer.look() is None
    found, was_made = offer.make()
    assert (found.state, was_made) == ("PENDING", True)


def test_a_name_that_another_account_has_is_told_in_one_line(client: Any, offer: PartnerOffer) -> None:
    client.create_partner_event_source(Name=offer.name, Account=OTHER)
    with pytest.raises(SetupError, match=f"the name is taken by account {OTHER}, not {ACCOUNT}; correct destination"):
        offer.make()


def test_an_account_that_is_no_partner_is_told_so(aws: LocalAws, offer: PartnerOffer) -> None:
    aws.register_partner(is_partner=False)
    for step in (offer.look, offer.make):
        with pytest.raises(SetupError, match="only an account that AWS registered as a partner can have event sources"):
            step()


class Unsettled(PartnerOffer):
    """Of which lists know nothing yet."""

    def look(self) -> None:
        return None


def test_a_source_that_lists_do_not_know_yet_is_looked_for_again(client: Any, offer: PartnerOffer) -> None:
    with pytest.raises(TransientError, match="it can't be seen yet"):
        Unsettled(client, offer.name, ACCOUNT).make()
