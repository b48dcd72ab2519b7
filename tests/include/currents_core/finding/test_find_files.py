from __future__ import annotations

from collections.abc import Iterator

import pytest

from currents_aws.memory import MemoryObjects
from currents_core.finding.find_files import find_files
from currents_core.ports import StoredObject

HOUR, BEFORE = "2026-11-23-08", "2026-11-23-07"
OPEN, CLICK = "users.messages.email.Open", "users.messages.email.Click"


def store(*keys: str) -> MemoryObjects:
    return MemoryObjects("braze", {key: key.encode() for key in keys})


def every(event_type: str) -> bool:
    return True


@pytest.mark.parametrize(
    "key",
    [
        f"in/dataexport.prod-01.S3.integration.x/event_type={OPEN}/date={HOUR}/version=1/prod/a+0+1.avro",
        f"in/dataexport.S3.integration.x/event_type={OPEN}/date={HOUR}/440/us-east/a.parquet",
        f"in/event_type={OPEN}/date={HOUR}/a.parquet",
        f"in/date={HOUR}/a.parquet",
        f"in/team=growth/my files/event_type={OPEN}/date={HOUR}/a b.parquet",
    ],
)
def test_files_are_found_in_every_layout(key: str) -> None:
    found = find_files(store(key, f"other/event_type={OPEN}/date={HOUR}/a.parquet"), "in/", [HOUR], every)
    assert [file.key for file in found] == [key]
    assert found[0].etag


def test_only_the_asked_hours_and_event_types_are_listed() -> None:
    source = store(
        *(f"in/event_type={kind}/date={hour}/a" for kind in (OPEN, CLICK) for hour in (HOUR, BEFORE, "2026-11-23-06"))
    )
    found = find_files(source, "in/", [BEFORE, HOUR], lambda event_type: event_type == CLICK)
    assert [file.key for file in found] == [f"in/event_type={CLICK}/date={hour}/a" for hour in (BEFORE, HOUR)]


def test_a_longer_hour_or_type_is_another_one() -> None:
    source = store(f"in/event_type={OPEN}/date={HOUR}-extra/a", f"in/event_type={OPEN}2/date={HOUR}/a")
    found = find_files(source, "in/", [HOUR], lambda event_type: event_type == OPEN)
    assert found == []


def test_markers_and_folders_are_no_files_but_empty_objects_are_damaged_ones() -> None:
    folder = f"in/event_type={OPEN}/date={HOUR}"
    source = store(f"{folder}/_SUCCESS", f"{folder}/.a.crc", f"{folder}/a.parquet")
    source.write(f"{folder}/", b"")
    source.write(f"{folder}/empty.parquet", b"")
    found = [file.key for file in find_files(source, "in/", [HOUR], every)]
    assert found == [f"{folder}/a.parquet", f"{folder}/empty.parquet"]


def test_what_an_engine_has_not_finished_is_no_file() -> None:
    kind, hour = f"event_type={OPEN}", f"date={HOUR}"
    hidden = [
        f"_in/_temporary/0/{kind}/{hour}/a.parquet",
        f"_in/{kind}/.spark-staging-1/{hour}/a.parquet",
        f"_in/{kind}/{hour}/_temporary/0/a.parquet",
        f"_in/_temporary/{hour}/a.parquet",
    ]
    plain = [f"_in/{kind}/{hour}/../a.parquet", f"_in/{kind}/{hour}/a.parquet"]
    source = store(*hidden, *plain)
    assert [file.key for file in find_files(source, "_in/", [HOUR], every)] == plain


def test_the_root_of_a_bucket_is_a_prefix_too() -> None:
    assert len(find_files(store(f"event_type={OPEN}/date={HOUR}/a"), "", [HOUR], every)) == 1


def test_a_prefix_below_which_nothing_is_gets_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    source = store(f"in/event_type={OPEN}/date={BEFORE}/a", f"flat/date={BEFORE}/a")
    for prefix in ("in/", "flat/"):
        assert find_files(source, prefix, [HOUR], every) == []
    assert caplog.messages == [], "an empty hour is none"
    assert find_files(source, "inn/", [HOUR], every) == []
    [told] = caplog.messages
    assert "below s3://braze/inn/ holds a wanted event type; if Braze has written files already" in told


class Counting(MemoryObjects):
    """A bucket that counts what is listed of it."""

    listed = 0

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        for each in super().objects(prefix, after):
            self.listed += 1
            yield each


def test_hours_are_listed_together_and_no_others_with_them() -> None:
    hours = [f"2026-11-{day:02}-{hour:02}" for day in range(1, 28) for hour in range(24)]
    keys = [f"in/event_type={OPEN}/date={hour}/a" for hour in hours] + [f"in/event_type={OPEN}/zzz/a"]
    source = Counting("braze", dict.fromkeys(keys, b"x"))
    found = find_files(source, "in/", hours[100:172], every)
    assert [file.hour for file in found] == hours[100:172]
    assert source.listed == 73, "one more, to see that it is over"


def test_odd_folders_between_the_hours_end_no_listing() -> None:
    odd = (f"date={BEFORE}-x/a", f"date={BEFORE}.x/a", f"date={BEFORE}0/a", f"date={BEFORE}/b", f"date={HOUR}/a")
    source = store(*(f"in/event_type={OPEN}/{name}" for name in odd))
    found = find_files(source, "in/", [BEFORE, HOUR], every)
    assert [file.key.rpartition("date=")[2] for file in found] == [f"{BEFORE}/b", f"{HOUR}/a"]
