from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from currents_aws.json_wire import JsonWire, body_of, head_of
from currents_core.entry import Common, Span
from tests.tools.entries import entries_of

texts = st.text(st.characters(codec="utf-8"), max_size=20)
envelopes = st.lists(texts, min_size=1, max_size=9)
commons = st.builds(Common, texts, texts, texts)


@given(st.lists(envelopes, min_size=1, max_size=4), commons, st.integers(-(2**63), 2**63 - 1))
def test_a_body_is_what_json_makes_of_the_same_entries(chunk: list[list[str]], common: Common, time: int) -> None:
    wire = JsonWire({"EventBusName": "bus"})
    spans = [Span(entries_of(each, time=time, common=common, wire=wire), 0, len(each)) for each in chunk]
    expected: list[dict[str, Any]] = [
        {
            "EventBusName": "bus",
            "Source": common.source,
            "DetailType": common.detail_type,
            "Resources": [common.resource],
            "Detail": envelope,
            "Time": time,
        }
        for each in chunk
        for envelope in each
    ]
    assert orjson.loads(body_of(spans)) == {"Entries": expected}
    assert [(entry.detail, entry.time) for span in spans for entry in span] == [(e, time) for c in chunk for e in c]


def test_what_is_left_out_of_a_chunk_is_not_in_its_body() -> None:
    entries = entries_of(["0", "1", "2", "3"])
    body = orjson.loads(body_of([Span(entries, 1, 2), Span(entries, 3, 4)]))
    assert [each["Detail"] for each in body["Entries"]] == ["1", "3"]


@given(st.dictionaries(texts.filter(lambda name: name != "Entries"), texts, max_size=3))
def test_a_body_has_the_parameters_of_its_request_beside_the_entries(parameters: dict[str, str]) -> None:
    body = orjson.loads(body_of([Span(entries_of(["0", "1"]), 0, 2)], head_of(parameters)))
    assert [each["Detail"] for each in body.pop("Entries")] == ["0", "1"]
    assert body == parameters


def test_envelopes_may_come_in_parts() -> None:
    times, ids = pa.array([7, 8], pa.int64()), pa.array(["a", "b"])
    written = JsonWire().written(
        Common("s", "t", "r"), ['"{', pa.array(["x", ""], pa.large_string()), '}"'], times, ids
    )
    assert [orjson.loads(each[:-1])["Detail"] for each in written.to_pylist()] == ["{x}", "{}"]
