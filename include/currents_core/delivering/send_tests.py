"""Sends test events to a destination, the way that events go, and notes nothing in the books."""

from __future__ import annotations

from typing import NamedTuple

from currents_core.crew import Crew
from currents_core.entry import Span
from currents_core.ports import Sent, Target
from currents_core.sending.pacer import Pacer
from currents_core.sending.send import Sender
from currents_core.sending.verdict import Refused
from currents_core.setup.settings import Connector
from currents_core.shaping.test_event import entries_to_test, id_of_test


class Outcome(NamedTuple):
    """What became of the test event of one type. ``refusal`` is why it was not accepted; empty if it was."""

    event_type: str
    id: str
    refusal: str = ""


def send_tests(connector: Connector, target: Target, sending: str, crew: Crew) -> list[Outcome]:
    """Sends one test event of each event type that a connector exports, under the name of a sending.

    See ``entries_to_test`` for the name. The events are few: they keep to the budget by themselves, and not together
    with deliveries. Raises the CurrentsError that ends all sending.
    """
    refusals: dict[int, str] = {}

    def refuse(refused: Refused) -> None:
        [row] = refused.span.rows
        refusals[row] = f"{refused.code}: {refused.reason}".rstrip(": ")

    if target.look:
        target.look()
    entries = list(entries_to_test(connector, target.wire, sending, crew.now()))
    pacer = Pacer(*connector.rates, clock=crew.seconds)
    with Sender(target, pacer, acknowledge=_nothing, refuse=refuse, crew=crew) as sender:
        for each in entries:
            sender.put(each)
        sender.drain()
    if target.look:
        target.look()
    return [
        Outcome(each.common.detail_type, id_of_test(sending, row), refusals.get(row, ""))
        for each in entries
        for row in each.rows
    ]


def _nothing(_span: Span, _sent: Sent) -> None:
    """An accepted event needs no note: what was not refused by the end was accepted."""
