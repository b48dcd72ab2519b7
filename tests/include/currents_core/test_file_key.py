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
    assert SourceFile("b", "k/x", "e", 1).arn == "arn:aws:s3:::b/k/x"
