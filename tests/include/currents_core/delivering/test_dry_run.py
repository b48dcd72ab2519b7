from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from currents_core.books.account import CLAIM_CHECKS, Account, Counts
from currents_core.delivering.dry_run import Forecast, total_forecast
from currents_core.entry import Entry, entry_size
from tests.tools.house import OPEN, PURCHASE, connector


def entry(detail: str, event_type: str = OPEN) -> Entry:
    return Entry(0, "s", event_type, detail, 0, "r")


def test_events_and_bytes_are_counted_and_large_events_as_the_bill_counts_them() -> None:
    found = Forecast()
    large = json.dumps({"text": "é" * 64 * 1024}, ensure_ascii=False)
    for detail in ("{}", large, "{}"):
        found.count(entry(detail))
    assert (found.events, found.billed) == (3, 5)
    assert found.bytes == 2 * entry_size("s", OPEN, 2, "r") + entry_size("s", OPEN, len(large.encode()), "r")


def test_samples_show_no_personal_data_and_nothing_of_the_customers_own() -> None:
    envelope = {
        "event_type": PURCHASE,
        "id": "1",
        "time": 1,
        "user": {"user_id": "anna", "new_field": "anna"},
        "properties": {"currency": "EUR", "purchase_properties": {"who": "anna"}, "unheard_of": "anna"},
    }
    found = Forecast()
    for _ in range(5):
        found.count(entry(json.dumps(envelope), PURCHASE))
    assert len(found.samples) == 3
    assert "anna" not in json.dumps(found.samples)
    assert found.samples[0]["properties"]["currency"] == "EUR"


def test_forecasts_travel_and_add_up() -> None:
    account = Account({OPEN: Counts(read=3, sent=2, dead_lettered=1)}, Counter({CLAIM_CHECKS: 1}))
    one = Forecast(2, 2_000_000, 1, 2, account=account, samples=[{"a": 1}, {"a": 2}])
    one.dead_letters["no_id"] += 1
    again = Forecast.from_json(json.loads(json.dumps(one.as_json())))
    assert again == one
    settings = connector(budget={"requests_per_second": 2, "price_per_million_events": 1_000_000})
    assert total_forecast([one, again]).report(settings, 0.5) == {
        "rows": {"read": 6, "sent": 4, "duplicate": 0, "filtered": 0, "dead_lettered": 2},
        "events": 4,
        "megabytes": 4.0,
        "requests": 2,
        "minutes_at_the_budget": 0.03,
        "estimated_price_in_dollars": 4.0,
        "dead_letters": {"no_id": 2},
        "claim_checks": 2,
        "drift": {},
        "personal_data": {},
        "samples": [{"a": 1}, {"a": 2}, {"a": 1}],
    }


@pytest.mark.parametrize(
    ("destination", "price"),
    [
        ({"kind": "event_bus", "name": "bus", "region": "us-east-1"}, 2.0),
        ({"kind": "partner_source", "account": "123456789012", "partner_name": "a.test", "region": "us-east-1"}, 2.0),
        ({"kind": "custom_bus", "name": "bus", "region": "us-east-1"}, None),
    ],
    ids=lambda each: each.get("kind") if isinstance(each, dict) else "",
)
def test_only_for_a_custom_bus_nobody_can_tell_the_price(destination: dict[str, Any], price: float | None) -> None:
    settings = connector(destination=destination, budget={"entries_per_second": 10})
    assert Forecast(billed=2_000_000).report(settings, 1.0)["estimated_price_in_dollars"] == price


@pytest.mark.parametrize(
    ("budget", "minutes"),
    [
        ({"requests_per_second": 2}, 100.0),
        ({"requests_per_second": 2, "entries_per_second": 10}, 100.0),
        ({"requests_per_second": 2, "entries_per_second": 5}, 200.0),
    ],
)
def test_the_time_is_that_of_the_rate_that_is_reached_first(budget: dict[str, float], minutes: float) -> None:
    found = Forecast(events=30_000, requests=6_000).report(connector(budget=budget), 0.5)
    assert found["minutes_at_the_budget"] == minutes


def test_nothing_to_send_is_a_forecast_too() -> None:
    assert total_forecast([]).report(connector(), 1.0)["events"] == 0
