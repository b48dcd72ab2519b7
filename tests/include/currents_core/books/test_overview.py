from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.books.account import Counts
from currents_core.books.overview import HourView, TypeView, Week, parse_week, week_of
from currents_core.books.run_record import RunPass, RunRecord
from currents_core.errors import SetupError
from currents_core.hour import date_of_hour, format_hour

HOUR = "2026-11-23-08"
counts = st.integers(0, 1 << 40)
records = st.builds(RunRecord, st.text(), st.text(), st.text(), st.text(), st.text(), counts, counts, st.just(0.5))
types = st.builds(
    TypeView,
    counts,
    counts,
    counts,
    counts,
    st.none() | st.floats(-1e6, 1e9),
    st.builds(Counts, counts, counts, counts, counts, counts),
    st.dictionaries(st.text(), counts, max_size=2),
)
views = st.builds(
    HourView,
    st.just(HOUR),
    counts,
    st.text(),
    st.text(),
    st.booleans(),
    st.dictionaries(st.text(), types, max_size=3),
    counts,
    st.dictionaries(st.text(), counts, max_size=2),
    st.lists(records, max_size=2).map(tuple),
    st.lists(records, max_size=2).map(tuple),
)


def manifest(seq: int, sent: int = 3, **more: Any) -> dict[str, Any]:
    told = {"read": sent + 1, "sent": sent, "duplicate": 0, "filtered": 0, "dead_lettered": 1}
    return {
        "complete": True,
        "event_types": {"a": told},
        "notes": {"kept": 2},
        "drift": {"a": ["new field x", "new field y"]},
        "slices": {
            "a": {"delivered": 2, "open": 0, "failed": 0, "size": 99, "delivered_at": "2026-11-23T09:10:00+00:00"}
        },
        "dead_letters": {"a": {"no_id": 1}},
        "runs": [{"run": "r", "kind": "scheduled", "at": "t"}],
        "seq": seq,
        "written_at": "2026-11-23T09:20:00+00:00",
        **more,
    }


def test_an_hour_says_what_its_manifest_says() -> None:
    view = HourView.of_manifest(HOUR, manifest(1), "etag")
    assert view.types == {"a": TypeView(2, 0, 0, 99, 600.0, Counts(read=4, sent=3, dead_lettered=1), {"no_id": 1})}
    assert (view.complete, view.drift, view.notes, view.etag) == (True, 2, {"kept": 2}, "etag")
    assert view.counts == Counts(read=4, sent=3, dead_lettered=1)
    assert view.runs == (RunRecord("r", "scheduled", "t"),)


def test_a_manifest_of_an_earlier_version_says_less() -> None:
    told = {name: each for name, each in manifest(1).items() if name not in {"slices", "dead_letters", "runs", "seq"}}
    [view] = HourView.of_manifest(HOUR, told, "e").types.values()
    assert view == TypeView(counts=Counts(read=4, sent=3, dead_lettered=1))


def test_types_whose_names_are_shown_alike_are_summed() -> None:
    one = {"read": 1, "sent": 1, "duplicate": 0, "filtered": 0, "dead_lettered": 0}
    names = [f"{'x' * 150}{middle}{'y' * 150}" for middle in "abc"]
    told = manifest(1, event_types=dict.fromkeys(names, one), slices={}, dead_letters={})
    assert HourView.of_manifest(HOUR, told, "e").counts.sent == 3


@given(st.permutations([1, 2, 3, 3]))
def test_in_whatever_order_manifests_come_the_last_one_counts(order: list[int]) -> None:
    view = HourView(HOUR)
    for seq in order:
        view = view.with_account(HourView.of_manifest(HOUR, manifest(seq, sent=seq), str(seq)))
    assert (view.seq, view.counts.sent) == (3, 3)


def test_a_manifest_that_was_removed_and_made_anew_counts_though_its_versions_begin_anew() -> None:
    view = HourView.of_manifest(HOUR, manifest(5), "e")
    again = {**manifest(1, sent=7), "written_at": "2027-01-01T00:00:00+00:00"}
    assert view.with_account(HourView.of_manifest(HOUR, again, "f")).counts.sent == 7


def test_a_replay_is_noted_once_and_outlasts_new_manifests() -> None:
    replay = RunRecord("again", "replay", "2026-11-23T09:00:00+00:00", "ada", "lost by the consumer")
    view = HourView(HOUR).with_replay(RunPass(replay))
    assert not view.is_accounted
    later = replace(replay, at="2026-11-23T10:00:00+00:00", cleared=1)
    sent = {"requests": 1, "tries": 4, "throttled": 0, "began": 5.0, "ended": 5.0, "cleared": 1}
    view = view.with_replay(RunPass(later, [sent]))
    for seq in (1, 2):
        view = view.with_account(HourView.of_manifest(HOUR, manifest(seq), str(seq)))
    assert view.is_accounted
    assert view.replays == (replace(later, tries=4),)


def test_of_very_many_event_types_the_rest_is_summed() -> None:
    one = {"read": 1, "sent": 1, "duplicate": 0, "filtered": 0, "dead_lettered": 0}
    told = manifest(1, event_types={f"type {number:05}": one for number in range(1_000)}, slices={}, dead_letters={})
    view = HourView.of_manifest(HOUR, told, "e")
    assert len(view.types) == 301
    assert view.types["(others)"].counts.sent == 700
    assert view.counts.sent == 1_000


@given(st.dictionaries(st.sampled_from([HOUR, "2026-11-29-23"]), views))
def test_a_week_is_read_as_it_was_written(hours: dict[str, HourView]) -> None:
    week = Week("2026-11-23", {hour: replace(view, hour=hour) for hour, view in hours.items()})
    assert parse_week(week.as_bytes(), "s3://b/k") == week
    assert week.as_bytes() == week.as_bytes()


def test_a_damaged_week_is_refused_by_its_place() -> None:
    with pytest.raises(SetupError, match="s3://b/k: this state is damaged"):
        parse_week(b"\x1f\x8bnot gzip", "s3://b/k")


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_every_hour_is_in_the_week_of_its_monday(moment: datetime) -> None:
    monday = datetime.fromisoformat(week_of(format_hour(moment))).replace(tzinfo=UTC)
    assert monday.weekday() == 0
    assert monday <= moment < monday + timedelta(days=7)
    assert date_of_hour(format_hour(monday)) == week_of(format_hour(moment))
