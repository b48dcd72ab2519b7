from __future__ import annotations

from pathlib import Path

import pytest

from currents_core.errors import SetupError
from currents_core.setup.connectors_file import load_connectors
from currents_core.setup.fitting import unknown_patterns
from currents_core.setup.run_request import redrive_request, run_request
from tests.include.currents_core.setup.test_connectors_file import GOOD, write
from tests.tools.house import HOUR, connector


def faults(tmp_path: Path, setting: str) -> tuple[str, ...]:
    return load_connectors(write(tmp_path, f"connectors:{GOOD}    {setting}\n")).faults


@pytest.mark.parametrize(
    "setting",
    [
        "filter: [{field: country, in: [NO, US]}]",
        "filter: [{field: price, at_least: 10, at_most: 20.5}]",
        "filter: [{field: is_amp, in: [true]}]",
        "filter: [{field: id, not_in: [x]}, {field: time, at_least: 1700000000}]",
        "filter: [{field: media_urls, is_null: false}]",
        "filter: [{field: our_column, in: [1, a, true], undocumented: true}]",
        "event_types: {include: ['*.Open', 'users.[bm]*', users.something.quite.New], exclude: ['users.canvas.*']}",
    ],
)
def test_what_braze_documents_or_may_write_is_valid(tmp_path: Path, setting: str) -> None:
    assert faults(tmp_path, setting) == ()


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("filter: [{field: country, in: [US, true]}]", "filter[0].in[1]: `country` is text, so no row has this value"),
        (
            "filter: [{field: app_version, in: [2]}]",
            "filter[0].field: Braze documents no such field; correct it, or add",
        ),
        ("filter: [{field: country, not_in: [1]}]", "filter[0].not_in[0]: `country` is text, so no row has this value"),
        ("filter: [{field: price, in: ['10']}]", "`price` is a number, so no row has this value; write it without qu"),
        ("filter: [{field: is_amp, in: ['true']}]", "`is_amp` is true or false, so no row has this value"),
        ("filter: [{field: media_urls, in: [x]}]", "`media_urls` is a list, which can be compared with nothing"),
        ("filter: [{field: country, at_least: 3}]", "filter[0].at_least: `country` is text, which has no bounds"),
        (
            "filter: [{field: contry, in: [US]}]",
            "filter[0].field: Braze documents no such field; correct it, or add `un",
        ),
        ("filter: [{field: contry, in: [US]}]", "did you mean `country`?"),
        ("filter: [{field: event_type, in: [x]}]", "events are chosen by type with the connector's `event_types`"),
        ("filter: [{field: properties, is_null: true}]", "did you mean `custom_properties` or `purchase_properties`?"),
        (
            "filter: [{field: canvas_step_message_variation_id, in: [x]}]\n    event_types: {include: ['*.banner.*']}",
            "no event has this field, only files do; did you mean `canvas_step_message_variation_api_id`?",
        ),
        (
            "filter: [{field: price, at_least: 1}]\n    event_types: {include: [users.messages.*]}",
            "no event type that the connector exports has this field; correct `event_types`",
        ),
        ("filter: [{field: price, at_least: 2, at_most: 1}]", "at_least is above at_most"),
        ("filter: [{field: price, is_null: true, in: [1]}]", "no row is null and has a value"),
        ("filter: [{field: price, in: []}]", "filter[0].in: must not be empty; expected: a list of the values to send"),
        ("filter: [{field: price, in: [~]}]", "filter[0].in[0]: must be text, a number, true or false"),
        ("event_types: {include: [users.messages.email.Opne]}", "did you mean `users.messages.email.Open`?"),
        ("event_types: {include: [users.messages.email.open]}", "did you mean `users.messages.email.Open`?"),
        ("event_types: {exclude: [users.mesages.*]}", "event_types.exclude[0]: matches no documented event type; did"),
        ("event_types: {include: ['users.[a-']}", "a pattern has a bracket without its other half"),
        ("event_types: {include: ['']}", "a pattern is empty; write `*` for everything, or remove it"),
        ("event_types: {include: ['users. *']}", "a pattern contains a space or a control character; remove it"),
        (f"event_types: {{include: [{'x' * 257}]}}", "a pattern has 257 characters; shorten it to 256"),
        (
            "personal_data: {rules: [{action: drop, fields: [gender], event_types: {include: [users.mesages.*]}}]}",
            "personal_data.rules[0].event_types.include[0]: matches no documented event type; did you mean",
        ),
    ],
)
def test_what_filters_everything_or_nothing_is_told_at_load(tmp_path: Path, setting: str, complaint: str) -> None:
    found = faults(tmp_path, setting)
    assert len(found) == 1
    assert complaint in found[0]
    assert found[0].startswith("line ")


def test_every_misfit_of_a_connector_is_told(tmp_path: Path) -> None:
    found = faults(tmp_path, "filter: [{field: contry, in: [x]}, {field: country, in: [1, 2], at_least: 3}]")
    assert len(found) == 4


def test_an_event_type_that_nobody_documents_is_allowed_and_known() -> None:
    told = connector(event_types={"include": ["users.*", "users.new.*"], "exclude": ["users.new.*"]})
    assert unknown_patterns(told) == ["users.new.*"]


@pytest.mark.parametrize("pattern", ["users.[a-", "", "a b", "a\x1bb", "x" * 300, "[]", "[!]", "a]"])
def test_a_pattern_of_the_form_is_held_to_the_same_rules(pattern: str) -> None:
    with pytest.raises(SetupError, match="`event_types`: a pattern "):
        run_request({"event_types": [pattern]}, HOUR, connector())
    with pytest.raises(SetupError, match="`codes`: a pattern "):
        redrive_request({"codes": [pattern]}, HOUR)


ONE = """
source: {bucket: braze-files, prefix: in}
destination: {kind: event_bus, name: bus, region: us-west-1}
state: {bucket: state}
"""


def test_a_folder_has_a_file_for_each_connector_and_a_broken_one_harms_its_own(tmp_path: Path) -> None:
    for name, text in {
        "a.yaml": ONE,
        "b.yml": f"name: b{ONE}",
        "c.yaml": f"name: d{ONE}",
        "Bad.yaml": ONE,
        "e.yaml": "a: b: c",
        "f.yaml": "[1]",
        "g.yaml": f"connectors: []{ONE}",
        "h.yaml": "",
        "a.yml": ONE,
        "i.yaml": "\x00",
        ".hidden.yaml": "a: b: c",
        "README.md": "a: b: c",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "folder.yaml").mkdir()
    connectors = load_connectors(tmp_path)
    assert list(connectors.valid) == ["a", "b"]
    for complaint in (
        "c.yaml, line 1, name: the file is called c; make the two match, or remove `name`",
        "Bad.yaml, line 2, name: does not have the form that it needs; expected: lower-case letters, digits and _",
        "e.yaml, line 1: this is not valid YAML",
        "f.yaml: it must have the keys of one connector",
        "g.yaml, line 1, connectors: there is no such key",
        "h.yaml: it must have the keys of one connector",
        "a.yml, line 2, name: `a` is already taken, in a.yaml; choose another",
        "i.yaml, line 1: the character U+0000 is not allowed; remove it",
        "folder.yaml: it is not a file",
    ):
        assert any(each.startswith(complaint) for each in connectors.faults), (complaint, connectors.faults)
    assert len(connectors.faults) == 9
    assert load_connectors(tmp_path).one("b").name == "b"
    with pytest.raises(SetupError, match=r"connector 'c' has 1 fault: .*the file is called c; make the two match"):
        load_connectors(tmp_path).one("c")


def test_a_folder_without_files_may_be_a_mount_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"has no file \*\.yaml; put one for each connector there"):
        load_connectors(tmp_path)


def test_aliases_share_settings_between_connectors(tmp_path: Path) -> None:
    text = f"connectors:{GOOD}".replace("- name: good", "- &good\n    name: good")
    text += "  - &other\n    <<: *good\n    name: other\n  - <<: *other\n    name: third\n    lookback_hours: 999\n"
    connectors = load_connectors(write(tmp_path, text))
    assert list(connectors.valid) == ["good", "other"]
    [fault] = connectors.faults
    assert fault == "line 12, connectors[2].lookback_hours: out of range; expected: whole hours, 0 to 744"
