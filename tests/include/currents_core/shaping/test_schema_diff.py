from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.shaping.event_schema import VERSION, event_schema, stored_types
from currents_core.shaping.schema_diff import differences

PURCHASE = "users.behaviors.Purchase"
SCHEMA = event_schema(PURCHASE, "braze.currents")


def changed(**properties: dict[str, Any] | None) -> dict[str, Any]:
    """The schema with other `properties`; None removes one."""
    schema = copy.deepcopy(SCHEMA)
    members = schema["definitions"]["UsersBehaviorsPurchaseProperties"]["properties"]
    for name, each in properties.items():
        if each is None:
            del members[name]
        else:
            members[name] = each
    return schema


@pytest.mark.parametrize(
    ("new", "lines"),
    [
        (SCHEMA, []),
        (changed(foo={"type": "string"}), ["+ detail.properties.foo: string"]),
        (changed(foo={"type": ["string", "object"]}), ["+ detail.properties.foo: string or object"]),
        (changed(foo={}), ["+ detail.properties.foo: anything"]),
        (
            changed(urls={"type": "array", "items": {"type": "string"}}),
            ["+ detail.properties.urls: array", "+ detail.properties.urls[]: string"],
        ),
        (changed(platform=None), ["- detail.properties.platform: string"]),
        (
            changed(platform=None, price={"type": "string"}),
            [
                "- detail.properties.platform: string",
                '~ detail.properties.price: description "Braze documents it as never null." → none, '
                'format "double" → none, type number → string',
            ],
        ),
        ({**SCHEMA, "title": "Other"}, ['~ event: title "UsersBehaviorsPurchaseEvent" → "Other"']),
        ({**SCHEMA, "required": ["id"]}, None),
        ({**SCHEMA, VERSION: "other"}, []),
    ],
)
def test_each_field_that_differs_is_a_line(new: dict[str, Any], lines: list[str] | None) -> None:
    expected = (
        [f"~ {name}: required true → none" for name in sorted(SCHEMA["required"]) if name != "id"]
        if lines is None
        else lines
    )
    assert list(differences(SCHEMA, new)) == expected


def test_a_field_of_one_line_stays_one_whatever_others_wrote() -> None:
    [line] = differences(SCHEMA, changed(foo={"type": "a\n\x1b[31m" + "b" * 1_000}))
    assert line.startswith("+ detail.properties.foo: a\\n\\x1b[31mb")
    assert len(line) <= 200


names = st.sampled_from(["properties", "definitions", "$ref", "items", "required", "type", "enum", "a", VERSION])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["#/definitions/a", "#", "string", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
schemas = st.dictionaries(names, values, max_size=5)


@given(schemas, schemas)
def test_whatever_is_in_a_registry_can_be_told_from_ours(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert list(differences(old, old)) == []
    lines, back = list(differences(old, new)), list(differences(new, old))
    turned = {"+": "-", "-": "+", "~": "~"}
    assert [turned[line[0]] for line in lines] == [line[0] for line in back]
    assert all(line.isprintable() for line in lines)


def test_a_definition_that_leads_back_to_itself_ends() -> None:
    loop = {"properties": {"a": {"$ref": "#/definitions/A"}}, "definitions": {"A": {"$ref": "#/definitions/A"}}}
    assert list(differences({}, loop)) == ["+ a: anything"]
    tree = {"definitions": {"A": {"type": "object", "properties": {"a": {"$ref": "#/definitions/A"}}}}}
    assert list(differences({}, {**tree, "$ref": "#/definitions/A"})) == [
        "~ event: type anything → object",
        "+ a: anything",
    ]


@given(st.sampled_from(stored_types()), st.sampled_from(stored_types()))
def test_two_types_differ_by_their_fields(one: str, other: str) -> None:
    def fields(name: str) -> set[str]:
        definitions = event_schema(name, "s")["definitions"]
        return {
            f"detail.{where}.{field}"
            for where in ("user", "properties")
            for key, part in definitions.items()
            if key.lower().endswith(where) and key != "CurrentsExport"
            for field in part["properties"]
        }

    lines = list(differences(event_schema(one, "s"), event_schema(other, "s")))
    assert {line[2:].partition(":")[0].removesuffix("[]") for line in lines if line[0] == "+"} == fields(
        other
    ) - fields(one)
    assert {line[2:].partition(":")[0].removesuffix("[]") for line in lines if line[0] == "-"} == fields(one) - fields(
        other
    )
