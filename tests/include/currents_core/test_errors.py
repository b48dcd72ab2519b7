from __future__ import annotations

import pickle

import pytest

from currents_core.errors import CurrentsError, DeliveryError, FileError, SetupError, TransientError

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
