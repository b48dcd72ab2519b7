from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pyarrow as pa
import pytest
from botocore.parsers import create_parser
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from currents_aws.aws_protocol import from_cbor
from currents_aws.cbor_wire import CborWire, body_of
from currents_core.entry import Common, Span, entry_size
from currents_core.limits import CUSTOM_BUS
from tests.tools.entries import entries_of

BUS = "arn:aws:events:us-east-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwxy"
# Of some users, where there are a thousand.
GROUPS = [863, None, 206, 354, 863]
texts = st.text(st.characters(codec="utf-8"), max_size=300)
envelopes = st.lists(texts, min_size=1, max_size=9)
commons = st.builds(Common, texts, texts, texts)


def spans_of(chunk: list[list[str]], common: Common, time: int) -> list[Span]:
    wire = CborWire("sender")
    return [Span(entries_of(each, time=time, common=common, wire=wire), 0, len(each)) for each in chunk]


@given(st.lists(envelopes, min_size=1, max_size=4), commons, st.integers(-(2**63), 2**63 - 1))
def test_a_body_has_the_entries_as_another_decoder_reads_them(
    chunk: list[list[str]], common: Common, time: int
) -> None:
    spans = spans_of(chunk, common, time)
    found = from_cbor(body_of(BUS, spans))
    once = CborWire("sender").deduplication_ids(common.detail_type, pa.array([f"id {n}" for n in range(9)])).to_pylist()
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
    wire, given_ids = CborWire("sender", salt), pa.array(ids, pa.string())
    found = wire.deduplication_ids(event_type, given_ids).to_pylist()
    assert len({*found}) == len(ids)
    assert max(len(each.encode()) for each in found) <= 128
    assert found == CborWire("sender", salt).deduplication_ids(event_type, given_ids).to_pylist()
    for other, kind in (
        (CborWire("sender", "another run"), event_type),
        (CborWire("another", salt), event_type),
        (wire, f"{event_type}:"),
    ):
        assert not {*found} & {*other.deduplication_ids(kind, given_ids).to_pylist()}


@pytest.mark.parametrize("length", [102, 103, 104])
def test_only_what_is_too_long_is_hashed(length: int) -> None:
    [found] = CborWire("sender").deduplication_ids("t", pa.array(["x" * length])).to_pylist()
    assert found.endswith(f":{'x' * length}") == (length <= 103)


def test_types_and_ids_are_not_taken_for_each_other() -> None:
    wire = CborWire("sender")
    [one], [other] = wire.deduplication_ids("a", pa.array(["b:c"])), wire.deduplication_ids("a:b", pa.array(["c"]))
    assert one != other


ids_of_users = st.lists(st.none() | texts, min_size=1, max_size=9)


@given(ids_of_users, st.integers(1, 10_000))
def test_each_user_has_one_group_of_so_many_and_entries_without_a_user_have_none(
    users: list[str | None], groups: int
) -> None:
    entries = entries_of(["{}"] * len(users), wire=CborWire("sender", groups=groups), users=users)
    found = from_cbor(body_of(BUS, [Span(entries, 0, len(users))]))["Entries"]
    metadata = [entry["SystemMetadata"] for entry in found]
    plain = [entry["SystemMetadata"] for entry in without_groups(users)]
    told = [each.pop("EventGroupId", None) for each in metadata]
    assert metadata == plain, "the same DeduplicationId, and nothing else"
    assert [group is None for group in told] == [user is None for user in users]
    assert all(group in map(str, range(groups)) for group in told if group is not None)
    of_user = dict(zip(users, told, strict=True))
    assert told == [of_user[user] for user in users]
    assert [entry.detail for entry in Span(entries, 0, len(users))] == ["{}"] * len(users)


def without_groups(users: list[str | None]) -> Any:
    entries = entries_of(["{}"] * len(users), wire=CborWire("sender"))
    return from_cbor(body_of(BUS, [Span(entries, 0, len(users))]))["Entries"]


def test_a_group_is_the_same_in_every_process_and_whoever_sends() -> None:
    """What was sent before this release must come back with the group that it had."""
    users = pa.array(["anna", None, "bert", "é😀", "anna"], pa.large_string())
    for wire in (CborWire("sender", groups=1_000), CborWire("another", "salt", 1_000)):
        assert wire.group_numbers(users).to_pylist() == GROUPS


def test_users_are_spread_evenly() -> None:
    users = pa.array([f"user {number}" for number in range(100_000)], pa.large_string())
    counts = Counter(CborWire("sender", groups=10).group_numbers(users).to_pylist())
    assert sorted(counts) == list(range(10))
    assert min(counts.values()) > 9_500


def test_entries_without_users_have_no_group() -> None:
    assert [CborWire("s", groups=groups).asks_for_users for groups in (None, 1)] == [False, True]
    columns = [pa.array(["{}"], pa.large_string())], pa.array([1]), pa.array(["a"])
    with_groups, plain = (CborWire("s", groups=groups).written(Common("s", "t", "r"), *columns) for groups in (1, None))
    assert with_groups == plain


@pytest.mark.parametrize("groups", [None, 10_000])
def test_what_is_around_full_entries_stays_within_a_megabyte(groups: int | None) -> None:
    common = Common("s" * 256, "t" * 128, "r" * 1_000)
    envelope = "x" * (CUSTOM_BUS.bytes_per_request // 100 - entry_size(*common[:2], 0, common.resource))
    wire = CborWire("sender", groups=groups)
    entries = entries_of([envelope] * 100, common=common, wire=wire, users=[f"{user}" for user in range(100)])
    assert 970_000 < len(body_of("a" * 1_011, [Span(entries, 0, 100)])) <= 1_000_000
