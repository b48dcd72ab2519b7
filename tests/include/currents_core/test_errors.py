from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.errors import CurrentsError, DeliveryError, FileError, SetupError, TransientError, shown

EVERY = [CurrentsError, DeliveryError, FileError, SetupError, TransientError]


@pytest.mark.parametrize("kind", EVERY)
def test_a_fault_says_what_it_is_about_and_keeps_it_as_fields(kind: type[CurrentsError]) -> None:
    error = kind("can't be read", uri="s3://b/k", code="NoSuchKey")
    assert str(error) == "s3://b/k: can't be read"
    assert (error.message, error.uri, error.code) == ("can't be read", "s3://b/k", "NoSuchKey")


def test_a_fault_about_no_single_thing_is_only_its_message() -> None:
    assert str(SetupError("nothing was planned")) == "nothing was planned"


def test_a_fault_survives_the_way_from_a_process_to_another() -> None:
    error = FileError("can't be read", uri="s3://b/k", code="c")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again)) == (str(error), vars(error))


@given(st.text(), st.integers(10, 50))
def test_whatever_a_file_says_is_shown_on_one_printable_line(text: str, most: int) -> None:
    assert shown(text, most).isprintable()
    assert len(shown(text, most)) <= most
    assert shown(shown(text, most), most) == shown(text, most)


def test_what_can_be_printed_is_shown_as_it_is_and_the_rest_is_escaped() -> None:
    assert shown("s3://b/é 🙂/{{ x }}") == "s3://b/é 🙂/{{ x }}"
    assert shown("a\n\x1b[31mred\u202e") == r"a\n\x1b[31mred\u202e"
    assert shown("begin" + "x" * 100 + "end", 20) == "beginxxxx…xxxxxxxend"


def test_a_fault_of_a_file_writes_no_second_line_into_the_log() -> None:
    error = FileError("found a\nERROR: all is lost", uri="s3://b/\x1b[2J")
    assert str(error) == r"s3://b/\x1b[2J: found a\nERROR: all is lost"
