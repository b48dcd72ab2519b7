"""Whatever the rules and the rows: what is left of them, and what each rule hit, is what the obvious reference says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from currents_core.setup.settings import PersonalDataRule
from currents_core.shaping.encode import encode
from currents_core.shaping.json_text import concat
from currents_core.shaping.normalise import normalise
from currents_core.shaping.personal_data import PersonalData
from tests.include.currents_core.shaping.personal_data_reference import BANNERS, KEY, VARIATION, left, loaded
from tests.include.currents_core.shaping.reference import SPLIT, envelope

CUSTOM, PURCHASE = SPLIT
SEND, FIRST = "users.messages.email.Send", "users.behaviors.app.FirstSession"
EVENT_TYPES = [CUSTOM, PURCHASE, SEND, FIRST, BANNERS[1], "users.brand.New"]
OWN = ["properties", *SPLIT.values()]
COLUMNS = ["blob", "campaign_name", "message_extras", "email_address", "country", "user_id", "price", VARIATION[0]]

keys = st.sampled_from(["a", "b", "0", "1", "-", "", "~/"])
plain = st.sampled_from(["plain", "é", "7", "true", "null", " "])
leaves = plain | st.integers(-(2**53), 2**53) | st.booleans()
patterns = st.sampled_from([["*"], ["*"], [CUSTOM], ["users.messages.*"], ["users.behaviors.*"], ["*.Click", "*.New"]])


def text_of_object(members: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{json.dumps(key)}: {text}" for key, text in members) + "}"


def text_of_array(items: list[str]) -> str:
    return f" [{','.join(items)}]"


def written(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """JSON texts of objects, maybe with a key twice, of arrays, and of strings that contain JSON."""
    members = st.lists(st.tuples(keys, inner), max_size=4)
    return members.map(text_of_object) | st.lists(inner, max_size=4).map(text_of_array) | inner.map(json.dumps)


json_texts = st.recursive((leaves | st.none()).map(json.dumps), written, max_leaves=8)
objects = st.lists(st.tuples(keys, json_texts), max_size=4).map(text_of_object)
texts = plain | json_texts | objects | objects.map(lambda text: text[:-1])
LEAVES = {pa.string(): texts, pa.int64(): st.integers(0, 99), pa.bool_(): st.booleans(), pa.date32(): st.dates()}
NESTED = [
    pa.list_(pa.string()),
    pa.list_(pa.struct({"a": pa.string(), "1": pa.bool_()})),
    pa.map_(pa.string(), pa.string()),
    pa.map_(pa.string(), pa.list_(pa.int64())),
    pa.struct({"": pa.string(), "~/": pa.list_(pa.string()), "b": pa.date32()}),
    pa.struct({"a": pa.map_(pa.string(), pa.string()), "0": pa.struct({"-": pa.int64()})}),
]
kinds = st.sampled_from([pa.string()] * 5 + [*LEAVES, *NESTED])


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    # The null members of a struct are not in events, and an empty map of a row is not to be told from an empty list.
    if pa.types.is_struct(kind):
        return st.fixed_dictionaries({field.name: values(field.type) for field in kind})
    if pa.types.is_map(kind):
        return st.dictionaries(keys, st.none() | values(kind.item_type), min_size=1, max_size=3)
    if pa.types.is_list(kind):
        return st.lists(st.none() | values(kind.value_type), max_size=3)
    return LEAVES[kind]


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    size = draw(st.integers(1, 3))
    own = draw(st.lists(st.sampled_from(OWN), max_size=1))
    columns = {}
    for name in own + draw(st.lists(st.sampled_from(COLUMNS), min_size=1 - len(own), max_size=2, unique=True)):
        kind = draw(kinds)
        each = st.none() | values(kind) | (objects if name in OWN and kind == pa.string() else values(kind))
        columns[name] = pa.array(draw(st.lists(each, min_size=size, max_size=size)), kind)
    return pa.table({"id": [f"id{row}" for row in range(size)], "time": range(size), **columns})


def places(value: Any) -> Iterator[tuple[str, ...]]:
    """The paths to a value and to all inside it, also inside JSON texts."""
    held = loaded(value) if isinstance(value, str) else value
    members = enumerate(held) if isinstance(held, list) else held.items() if isinstance(held, dict) else ()
    yield ()
    yield from ((str(step), *path) for step, each in members for path in places(each))
    yield from places(held) if isinstance(held, str) else ()


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows as the values that JSON has: maps as dictionaries, and dates as text."""
    rows: list[dict[str, Any]] = json.loads(json.dumps(table.to_pylist(maps_as_pydicts="strict"), default=str))
    return rows


def pointer(path: tuple[str, ...]) -> str:
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in path)


@st.composite
def cases(draw: st.DrawFn, event_types: st.SearchStrategy[Any]) -> tuple[list[PersonalDataRule], Any, pa.Table]:
    """Rules, the event type of all rows, and the rows. Pointers lead to what is in the rows, beside it or further."""
    table = draw(tables())
    columns = table.column_names[2:]
    paths = {path for row in plain_rows(table.select(columns)) for path in places(row) if path}
    paths |= {path[1:] for path in paths if path[0] in OWN and path[1:]}
    found, further = st.sampled_from(sorted(paths)), keys.map(lambda key: (key,))
    beside = st.tuples(found.map(lambda path: path[:-1]), further)
    pointers = (found | (st.tuples(found, further) | beside).map(lambda each: each[0] + each[1])).map(pointer)
    fields = st.lists(st.sampled_from([*columns, *columns, *OWN, VARIATION[1]]), max_size=1)
    rules = st.builds(
        PersonalDataRule,
        action=st.sampled_from(["drop", "redact", "hash"]),
        fields=fields,
        catalog=st.sampled_from([False, False, False, True]),
        pointers=st.lists(pointers, min_size=1, max_size=6),
        event_types=st.fixed_dictionaries({"include": patterns}, optional={"exclude": st.just([PURCHASE])}),
    )
    return draw(st.lists(rules, min_size=1, max_size=3)), draw(event_types), table


@settings(max_examples=250)
@given(cases(st.sampled_from(EVENT_TYPES)))
def test_events_are_what_the_reference_leaves(case: tuple[list[PersonalDataRule], str, pa.Table]) -> None:
    rules, event_type, table = case
    hits: Counter[str] = Counter()
    events = normalise(table.to_pandas(types_mapper=pd.ArrowDtype), event_type, {}).events
    encoded = concat(*encode(PersonalData(rules, KEY).of_events(events, hits), Counter())).to_pylist()
    expected, counted = [], Counter[int]()
    for row in plain_rows(table):
        kept, of_row = left(rules, event_type, row)
        counted.update(of_row)
        if event_type in BANNERS and VARIATION[0] in kept:
            kept[VARIATION[1]] = kept.pop(VARIATION[0])
        expected.append(envelope(event_type, kept))
    assert [comparable(json.loads(json.loads(each))) for each in encoded] == [comparable(each) for each in expected]
    assert by_number(hits) == counted


@settings(max_examples=250)
@given(cases(st.none() | st.sampled_from(EVENT_TYPES)))
def test_records_are_what_the_reference_leaves(case: tuple[list[PersonalDataRule], str | None, pa.Table]) -> None:
    rules, event_type, table = case
    for row, plain_row in zip(table.to_pylist(), plain_rows(table), strict=True):
        hits: Counter[str] = Counter()
        record = PersonalData(rules, KEY).of_record(event_type, row, hits)
        expected, counted = left(rules, event_type, plain_row)
        assert as_texts(record) == as_texts(expected)
        assert by_number(hits) == counted


def comparable(value: Any) -> Any:
    """A value of which all JSON texts are written in one way."""
    if isinstance(value, dict):
        return {name: comparable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [comparable(each) for each in value]
    held = loaded(value) if isinstance(value, str) else value
    if isinstance(held, dict | list):
        return json.dumps(comparable(held), sort_keys=True)
    return comparable(held) if isinstance(held, str) else value


def as_texts(record: dict[str, Any]) -> dict[str, Any]:
    """The values of a record that are not null, as JSON texts: it has structs, maps and lists as such or as texts."""
    texts = {name: json.dumps(unpaired(value), default=str) for name, value in record.items() if value is not None}
    return {name: comparable(text) for name, text in texts.items()}


def unpaired(value: Any) -> Any:
    """A value with its maps as dictionaries. Arrow gives a map as a list of pairs."""
    if isinstance(value, dict):
        return {name: unpaired(each) for name, each in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return {name: unpaired(each) for name, each in value}
    return [unpaired(each) for each in value] if isinstance(value, list) else value


def by_number(hits: Counter[str]) -> dict[int, int]:
    return {int(name.split()[1]): count for name, count in hits.items()}
