from __future__ import annotations

from dataclasses import replace

import pytest

from currents_core.file_key import SourceFile

FOLDERS = "event_type=users.messages.email.Open/date=2026-11-23-08"
NOW = f"currents/dataexport.prod-01.S3.integration.abc/{FOLDERS}/version=1/prod/dataexport+0+1.parquet"
BEFORE = f"dataexport.S3.integration.abc/{FOLDERS}/440/us-east/part+0+1.parquet"
ODD = f"team=growth/my files/event_type=old/x/{FOLDERS}/a b=c.parquet"


@pytest.mark.parametrize("key", [NOW, BEFORE, ODD])
def test_the_key_names_type_and_hour_in_every_layout(key: str) -> None:
    file = SourceFile("bucket", key, "etag", 1)
    assert (file.event_type, file.hour) == ("users.messages.email.Open", "2026-11-23-08")


def test_a_file_name_is_no_folder() -> None:
    assert SourceFile("bucket", "date=2026-11-23-08/event_type=x.parquet", "etag", 1).event_type is None


def test_another_etag_key_or_bucket_is_another_file_and_the_size_is_not_part_of_it() -> None:
    file = SourceFile("bucket", NOW, "etag", 1)
    others = [replace(file, bucket="other"), replace(file, key=BEFORE), replace(file, etag="other")]
    assert len({file.id, *(other.id for other in others)}) == 4
    assert replace(file, size=2).id == file.id


def test_bucket_and_key_can_not_be_confused() -> None:
    assert SourceFile("a", "b/c", "e", 1).id != SourceFile("a/b", "c", "e", 1).id


def test_the_arn_is_that_of_the_object() -> None:
    assert SourceFile("b", "k/x", "e", 1).arn("aws-cn") == "arn:aws-cn:s3:::b/k/x"


def test_no_arn_is_longer_than_eventbridge_takes() -> None:
    # The longest names that S3 has.
    assert len(SourceFile("b" * 63, "k" * 1024, "e", 1).arn("aws-us-gov")) < 2_048


HOUR_FOLDER = "date=2026-11-23-08"


@pytest.mark.parametrize(
    ("key", "event_type"),
    [
        (f"event_type=a/{HOUR_FOLDER}/date=2020-01-01-00/event_type=b/x", "a"),
        (f"event_type=a/{HOUR_FOLDER}/date=../x", "a"),
        (f"date=../event_type=a/date=2026-11/{HOUR_FOLDER}/x", "a"),
        (f"/event_type=a/{HOUR_FOLDER}/x", "a"),
        (f"{HOUR_FOLDER}/event_type=b/x", "b"),
    ],
)
def test_the_hour_is_the_first_valid_one_and_nothing_below_it_changes_what_it_found(key: str, event_type: str) -> None:
    file = SourceFile("bucket", key, "etag", 1)
    assert (file.hour, file.event_type) == ("2026-11-23-08", event_type)


@pytest.mark.parametrize(
    "hour", ["..", "", "2026-11-23", "2026-13-01-00", "2026-11-23-24", "\u0662026-11-23-08", "2026-11-23-08\n"]
)
def test_a_folder_that_names_no_valid_hour_is_no_hour(hour: str) -> None:
    with pytest.raises(KeyError):
        _ = SourceFile("bucket", f"event_type=a/date={hour}/x", "etag", 1).hour


@pytest.mark.parametrize("above", ["in/team=a", "/in", ""])
def test_the_dataset_is_the_folder_above_the_hour(above: str) -> None:
    key = f"{above}/{HOUR_FOLDER}/date=2020-01-01-00/x".removeprefix("" if above else "/")
    assert SourceFile("bucket", key, "etag", 1).dataset == above


def test_a_key_is_shown_on_one_line() -> None:
    file = SourceFile("bucket", f"a\n\x1b[2J/{'x' * 1000}/last.avro", "etag", 1)
    assert file.uri.startswith(r"s3://bucket/a\n\x1b[2J/xxx")
    assert file.uri.endswith("xxx/last.avro")
    assert len(file.uri) == 400
