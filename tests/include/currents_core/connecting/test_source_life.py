from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from currents_core.connecting.source_life import Offer

NAME = "aws.partner/example.com/orders/123456789012"
CREATED = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_pending_source_says_what_it_waits_for_and_when_it_expires() -> None:
    offer = Offer(NAME, "PENDING", CREATED, CREATED + 14 * DAY)
    assert offer.told(CREATED) == (
        f"{NAME} is PENDING: EventBridge drops its events until the customer associates it with a bus; "
        "it expires at 2026-11-15 08:30 UTC"
    )
    assert "is PENDING for 1 day:" in offer.told(CREATED + DAY)
    assert "is PENDING for 2 days:" in offer.told(CREATED + 3 * DAY - timedelta(seconds=1))


def test_seven_days_are_planned_for_where_aws_does_not_say() -> None:
    assert Offer(NAME, "PENDING", CREATED).ends == CREATED + 7 * DAY
    assert Offer(NAME, "PENDING").told(CREATED).endswith("until the customer associates it with a bus")


@pytest.mark.parametrize(("state", "gone"), [("ACTIVE", False), ("DELETED", True)])
def test_any_other_source_says_its_state(state: str, gone: bool) -> None:
    offer = Offer(NAME, state, CREATED)
    assert (offer.told(CREATED), offer.is_gone) == (f"{NAME} is {state}", gone)


def test_a_warning_comes_daily_while_it_is_pending() -> None:
    offer, hour = Offer(NAME, "PENDING", CREATED), timedelta(hours=1)
    assert not offer.warns(None, CREATED + DAY - hour)
    assert offer.warns(None, CREATED + DAY)
    assert not offer.warns(CREATED + DAY, CREATED + 2 * DAY - hour)
    assert offer.warns(CREATED + DAY, CREATED + 2 * DAY)
    assert not offer.warns(CREATED - DAY, CREATED + hour), "it was made anew after the last warning"
    assert not Offer(NAME, "ACTIVE", CREATED).warns(None, CREATED + DAY)
