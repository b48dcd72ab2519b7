from __future__ import annotations

from typing import Any, cast

import pyarrow as pa
import pytest
from botocore.parsers import create_parser
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from currents_aws.aws_protocol import from_cbor
from currents_aws.cbor_wire import CborWire, body_of
from currents_core.entry import Common, Span
from tests.tools.entries import entries_of

BUS = "arn:aws:events:us-east-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwxy"
texts = st.text(st.characters(codec="utf-8"), max_size=300)
envelopes = st.lists(texts, min_size=1, max_size=9)
commons = st.builds(Common, texts, texts, texts)


def spans_of(chunk: list[list[str]], common: Common, time: int) -> list[Span]:
    wire = CborWire()
    return [Span(entries_of(each, time=time, common=common, wire=wire), 0, len(each)) for each in chunk]


@given(st.lists(envelopes, min_size=1, max_size=4), commons, st.integers(-(2**63), 2**63 - 1))
def test_a_body_has_the_entries_as_another_decoder_reads_them(
    chunk: list[list[str]], common: Common, time: int
) -> None:
    spans = spans_of(chunk, common, time)
    found = from_cbor(body_of(BUS, spans))
    once = CborWire().deduplication_ids(common.detail_type, pa.array([f"id {n}" for n in range(9)])).to_pylist()
    expected: list[dict[str, Any]] = [
        {
            "Source": common.source,
            "DetailType": common.detail_type,
            "Resources": [common.resource],
            "Detail": envelope,
            "Time": time,
            "SystemMetadata": {"DeduplicationId": once[place]},
        }
        for each in chunk
        for place, envelope in enumerate(each)
    ]
    assert found == {"EventBusArn": BUS, "Entries": expected}
    assert [(entry.detail, entry.time) for span in spans for entry in span] == [(e, time) for c in chunk for e in c]


def test_botocore_reads_it_as_what_it_would_write() -> None:
    """Its decoder is another than ours, and knows what a time is."""
    model = get_session().get_service_model("eventbridgev2").operation_model("PutEvents")
    body = body_of(BUS, spans_of([["{}"] * 100], Common("s", "t", "r"), 1_795_420_801))
    response = {"status_code": 200, "headers": {"smithy-protocol": "rpc-v2-cbor"}, "body": body, "context": {}}
    found = create_parser("smithy-rpc-v2-cbor").parse(response, cast("Any", model.input_shape))
    assert len(found["Entries"]) == 100
    assert found["Entries"][99]["Time"].timestamp() == 1_795_420_801
    assert found["EventBusArn"] == BUS


@given(texts, st.lists(texts, min_size=1, max_size=5, unique=True), st.sampled_from(["", "run 1"]))
def test_a_deduplication_id_is_short_and_of_one_event_alone(event_type: str, ids: list[str], salt: str) -> None:
    wire, given_ids = CborWire(salt), pa.array(ids, pa.string())
    found = wire.deduplication_ids(event_type, given_ids).to_pylist()
    assert len({*found}) == len(ids)
    assert max(len(each.encode()) for each in found) <= 128
    assert found == CborWire(salt).deduplication_ids(event_type, given_ids).to_pylist()
    others = CborWire("another run").deduplication_ids(event_type, given_ids).to_pylist()
    assert not {*found} & {*others}


@pytest.mark.parametrize("length", [127, 128, 129])
def test_only_what_is_too_long_is_hashed(length: int) -> None:
    [found] = CborWire().deduplication_ids("t", pa.array(["x" * (length - 2)])).to_pylist()
    assert (found == f"t:{'x' * (length - 2)}") == (length <= 128)
