from __future__ import annotations

import json

import pytest

from currents_core.mode import Mode
from currents_core.shaping.marking import mark


def test_a_live_event_stays_what_it_is() -> None:
    assert not mark("live")


@pytest.mark.parametrize("mode", ["backfill", "replay"])
def test_another_mode_is_a_last_member(mode: Mode) -> None:
    assert json.loads(f'{{"event_type":"é"{mark(mode)}}}') == {"event_type": "é", "currents_export": {"mode": mode}}
