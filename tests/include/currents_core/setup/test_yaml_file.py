from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from currents_core.errors import SetupError
from currents_core.setup.connectors_file import load_connectors
from currents_core.setup.yaml_file import LARGEST, MisreadError, plain_value, read_node
from tests.include.currents_core.setup.test_connectors_file import GOOD, write


def read(tmp_path: Path, text: str | bytes) -> Any:
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    node = read_node(path)
    assert node
    faults: list[MisreadError] = []
    value = plain_value(node, faults)
    assert faults == []
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[NO, no, yes, on, Off, y, n, true, FALSE]", ["NO", "no", "yes", "on", "Off", "y", "n", True, False]),
        ("[2026-02-31, 2026-01-01T00:00:00Z, 12:30:45]", ["2026-02-31", "2026-01-01T00:00:00Z", "12:30:45"]),
        ("[010, 0o10, 0x10, -7, 1_000, 0b1, 1e3, .5, 2.]", [10, 8, 16, -7, "1_000", "0b1", 1000.0, 0.5, 2.0]),
        ("[~, null, '', !!str 3]", [None, None, "", "3"]),
        ("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  b: 3", {"a": {"b": 1, "c": 2}, "d": {"b": 3, "c": 2}}),
        ("no: 1\n3: 2\n", {"no": 1, 3: 2}),
        ("\ufeffa: 1", {"a": 1}),
        ("=: x", {"=": "x"}),
    ],
)
def test_values_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: Any) -> None:
    found = read(tmp_path, text)
    assert found == value
    assert [type(each) for each in found] == [type(each) for each in value]


BOMB = "\n".join(
    ["- &a0 [x, x, x, x, x, x, x, x, x, x]", *(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))]
)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (BOMB, "aliases repeat too much; write the values out"),
        (f"- &a {'x' * 100_000}\n- [{'*a, ' * 20}]", "aliases repeat too much"),
        ("- &a [*a]", "nested too deeply"),
        ("[" * 40 + "]" * 40, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]", "line 2: the tag !!python/object/apply:os.system is not"),
        ("a: !mine x", "line 1: the tag !mine is not allowed; remove it"),
        ("a: !!binary eA==", "line 1: the tag !!binary is not allowed"),
        ("a: !!int x", "line 1: this is not a whole number"),
        ("a: !!bool NO", "line 1: this is not true or false"),
        ("a: !!float x", "line 1: this is not a number"),
        ("a: .inf", "a number must be finite"),
        ("a: 1e999", "a number must be finite"),
        (f"a: {'9' * 5000}", "this is not a whole number"),
        ("a: 1\n\tb: 1", "line 2: this is not valid YAML: a tab; indent with spaces"),
        ("a: b: c", "line 1: this is not valid YAML: a second colon"),
        ("a: 1\nb: 'x", "this is not valid YAML: a quote that is never closed"),
        ("a: 1\nb: [x", "this is not valid YAML: a bracket that is never closed"),
        ("a: *b", "line 1: this is not valid YAML: an alias of nothing"),
        ("a: 1\n---\nb: 1", "line 2: this is not valid YAML: a second document"),
        ("a: 1\n  b: 1\n", "line 2: this is not valid YAML"),
        ('a: "\\ud800"', "half a character"),
        ('a: "\\UFFFFFFFF"', "an escape that is no character"),
        ("<<: 3", "expected a mapping"),
        ("? [a]\n: 1", "line 1: a key is not text"),
        (b"a: 1\nb: \x00", "line 2: the character U+0000 is not allowed; remove it"),
        (b"a: 1\nb: \xff", "line 2: the file is not UTF-8; save it as UTF-8"),
        ("a: 1".encode("utf-16"), "the file is not UTF-8"),
        (b"a: " + b"x" * LARGEST, "the file is larger than 1,000,000 bytes"),
    ],
)
def test_what_is_no_plain_yaml_is_one_fault_in_our_words(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    with pytest.raises(MisreadError) as told:
        read(tmp_path, text)
    assert complaint in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["a: 1\na: 2", "b: {a: 1, 'a': 2}"])
def test_a_key_that_appears_twice_is_told_and_the_rest_is_read(tmp_path: Path, text: str) -> None:
    node = read_node(write(tmp_path, text))
    assert node
    faults: list[MisreadError] = []
    plain_value(node, faults)
    assert [each.message for each in faults] == ["the key `a` appears twice; remove one"]


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(SetupError, match="it is not a file; name a file"):
        load_connectors(tmp_path / "pipe.yaml")


@given(st.binary(max_size=40), st.integers(0, 200), st.integers(0, 60))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_bytes_a_file_has_it_is_read_or_told_of(tmp_path: Path, bytes_: bytes, start: int, cut: int) -> None:
    whole = f"connectors:{GOOD}".encode()
    path = tmp_path / "connectors.yaml"
    path.write_bytes(whole[:start] + bytes_ + whole[start + cut :])
    try:
        faults = load_connectors(path).faults
    except SetupError as error:
        faults = (str(error),)
    assert not any("\n" in each for each in faults)
