from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.mode import Mode
from currents_core.shaping.marking import marked

ENVELOPES = st.lists(st.dictionaries(st.text(), st.text()).map(lambda each: {"event_type": "é", "properties": each}))


def strings(envelopes: list[dict[str, object]]) -> pa.Array:
    return pa.array([json.dumps(json.dumps(each, ensure_ascii=False)) for each in envelopes], pa.large_string())


@given(ENVELOPES)
def test_a_live_event_stays_what_it_is(envelopes: list[dict[str, object]]) -> None:
    details = strings(envelopes)
    assert marked(details, "live") is details


@pytest.mark.parametrize("mode", ["backfill", "replay"])
@given(ENVELOPES)
def test_another_mode_is_a_last_key(mode: Mode, envelopes: list[dict[str, object]]) -> None:
    found = [json.loads(json.loads(each)) for each in marked(strings(envelopes), mode).to_pylist()]
    assert found == [{**each, "currents_export": {"mode": mode}} for each in envelopes]
    assert all(list(each)[-1] == "currents_export" for each in found)
