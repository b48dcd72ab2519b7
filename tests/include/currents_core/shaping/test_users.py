from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from currents_core.setup.settings import PersonalDataRule
from currents_core.shaping.envelope import Events
from currents_core.shaping.personal_data import PersonalData
from currents_core.shaping.users import users

OPEN = "users.messages.email.Open"


def events(**columns: Any) -> Events:
    table = pa.table({"id": ["1", "2", "3"], "time": [1, 2, 3], **columns})
    return Events(OPEN, table.to_pandas(types_mapper=pd.ArrowDtype), frozenset())


def test_a_file_without_users_has_none() -> None:
    assert users(events()).to_pylist() == [None] * 3


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_users_are_texts_and_an_empty_one_is_none(kind: pa.DataType) -> None:
    found = users(events(user_id=pa.array(["anna", "", None], pa.string()).cast(kind)))
    assert found.type == pa.large_string()
    assert found.to_pylist() == ["anna", None, None]


def test_a_user_of_another_type_is_its_text() -> None:
    assert users(events(user_id=[7, None, 8])).to_pylist() == ["7", None, "8"]


@pytest.mark.parametrize(("action", "left"), [("drop", 0), ("redact", 0), ("hash", 2)])
def test_what_a_rule_withholds_is_no_user(action: str, left: int) -> None:
    rule = PersonalDataRule.model_validate({"action": action, "fields": ["user_id"]})
    protected = PersonalData([rule], b"key").of_events(events(user_id=["anna", "bert", "anna"]))
    found = users(protected).to_pylist()
    assert len({*found} - {None}) == left
    assert found[0] == found[2] != "anna"
