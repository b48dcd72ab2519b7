from __future__ import annotations

import json

import pyarrow as pa
import pytest

from currents_core.mode import Mode
from currents_core.shaping.json_text import TEXT, concat
from currents_core.shaping.marking import mark

CHECKS = ['{"key":"a"}', '{"key":"é"}']


def test_a_live_event_stays_what_it_is() -> None:
    assert mark("live") == []


@pytest.mark.parametrize("mode", ["backfill", "replay"])
def test_another_mode_is_a_last_member(mode: Mode) -> None:
    text = "".join(part for part in mark(mode) if isinstance(part, str))
    assert json.loads(f'{{"event_type":"é"{text}}}') == {"event_type": "é", "currents_export": {"mode": mode}}


@pytest.mark.parametrize(("mode", "told"), [("live", {}), ("backfill", {"mode": "backfill"})])
def test_a_claim_check_stands_beside_the_mode(mode: Mode, told: dict[str, str]) -> None:
    texts = concat('{"event_type":"é"', *mark(mode, pa.array(CHECKS, TEXT)), "}").to_pylist()
    assert [json.loads(each)["currents_export"] for each in texts] == [
        {**told, "claim_check": json.loads(check)} for check in CHECKS
    ]
