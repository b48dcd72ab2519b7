from __future__ import annotations

import json
from collections import Counter

import pyarrow as pa
import pytest

from include.currents.catalog import catalog
from include.currents.file_key import SourceFile
from tests.tools.sample import ARROW, make_files, make_key, make_rows

HOUR = "2026-11-23-08"
STORED = [name for name, event_type in catalog().items() if event_type.stored]


@pytest.mark.parametrize("event_type", STORED)
def test_every_stored_type_can_be_made_with_its_documented_fields(event_type: str) -> None:
    table = make_rows(event_type, 50, hour=HOUR)
    fields = [field for field in catalog()[event_type].fields.values() if field.stored]
    assert table.schema == pa.schema([(field.name, ARROW[field.type]) for field in fields])
    assert [field.name for field in fields if not field.nullable and table[field.name].null_count] == []
    table.validate(full=True)


@pytest.mark.parametrize("event_type", ["users.messages.newsfeedcard.Click", "no.such.Type"])
def test_types_that_are_never_stored_are_refused_by_name(event_type: str) -> None:
    with pytest.raises(ValueError, match=event_type):
        make_rows(event_type, 1, hour=HOUR)


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    first, again, other = (
        [file.body for file in make_files([HOUR], STORED[:3], rows=40, repeat=0.1, seed=seed)] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_repeats_are_counted_over_the_files_of_a_type_and_hour() -> None:
    files = list(make_files([HOUR], ["users.messages.email.Open"], files=3, rows=200, repeat=0.1))
    ids = Counter(each for file in files for each in file.table["id"].to_pylist())
    assert sum(file.repeats for file in files) == sum(count - 1 for count in ids.values()) == 60


def test_a_late_file_is_another_file_of_its_hour() -> None:
    [early] = make_files([HOUR], ["users.messages.email.Open"], rows=20)
    [late] = make_files([HOUR], ["users.messages.email.Open"], rows=20, first=1)
    assert early.key != late.key
    assert not set(early.table["id"].to_pylist()) & set(late.table["id"].to_pylist())


@pytest.mark.parametrize("old_layout", [False, True])
def test_keys_name_type_and_hour_in_both_layouts(old_layout: bool) -> None:
    file = SourceFile("b", make_key("in/", "users.messages.email.Open", HOUR, 0, old_layout=old_layout), "e", 1)
    assert (file.event_type, file.hour) == ("users.messages.email.Open", HOUR)


def test_the_text_in_it_is_hard_to_encode() -> None:
    table = make_rows("users.behaviors.CustomEvent", 500, hour=HOUR)
    own = [json.loads(text) for text in table["properties"].to_pylist()]
    assert {} in own
    everything = "".join(str(value) for value in own)
    assert all(hard in everything for hard in ("🎉", "\\n", '"', "さくら", "مرحبا"))
