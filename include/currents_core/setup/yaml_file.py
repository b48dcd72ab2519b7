"""Reads YAML files that people write: one mapping or list of plain values, each with its line.

Values are those of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), so that `NO` is Norway and a
date is text. Whatever is wrong with a file is a ``MisreadError``, in words for the people who wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.constructor import ConstructorError
from yaml.reader import Reader

LARGEST = 1_000_000
_DEEPEST = 32
_TOO_DEEP = "values are nested too deeply; flatten them"
# What a value weighs besides its characters, so that aliases can't make too many of them.
_WEIGHT = 16

_TAG = "tag:yaml.org,2002:"
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NULL = re.compile(r"~|null|Null|NULL|")
_BASES = {"0o": 8, "0x": 16}

_REMEDIES = {
    "'\\t'": "a tab; indent with spaces",
    "mapping values are not allowed": "a second colon; put a value that contains a colon and a space in quotes, "
    "and check the indentation",
    "found unexpected end of stream": "a quote that is never closed; close it",
    "expected ',' or": "a bracket that is never closed, or a comma that is missing",
    "found undefined alias": "an alias of nothing; name an anchor that stands above it",
    "expected a single document": "a second document (`---`); keep one",
    "found unknown escape character": "an unknown escape in double quotes; use single quotes",
    "but found another document": "a second document (`---`); keep one",
}


class MisreadError(Exception):
    """A fault of a YAML file. ``line`` counts from 1; it is None if the fault is about the file as a whole."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


def read_node(path: Path) -> yaml.Node | None:
    """The root of the YAML in the file at ``path``, None if it is empty. Raises MisreadError or OSError."""
    text = _text(path)
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise MisreadError(_syntax(str(error.problem)), mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, ValueError, OverflowError):
        # Such as a character of `"\UFFFFFFFF"`, which there is none of.
        raise MisreadError("the file has an escape that is no character; correct it") from None


def plain_value(node: yaml.Node, faults: list[MisreadError]) -> Any:
    """The plain value of a node: dicts, lists, text, numbers, booleans and None. Raises MisreadError.

    Keys that appear twice are added to ``faults``, since the rest can still be judged; the last value counts.
    """
    faults += _repeated(_bounded(node))
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except ConstructorError as error:
        mark = error.problem_mark
        raise MisreadError(str(error.problem), mark.line + 1 if mark else line_of(node)) from None
    finally:
        loader.dispose()


def line_of(node: yaml.Node) -> int:
    """The line of a node, counted from 1."""
    return int(node.start_mark.line) + 1


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise MisreadError("it is not a file; name a file")
    with path.open("rb") as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise MisreadError(
            f"the file is larger than {LARGEST:,} bytes; name a connectors file, or split it into a folder"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MisreadError("the file is not UTF-8; save it as UTF-8", raw.count(b"\n", 0, error.start) + 1) from None
    bad = Reader.NON_PRINTABLE.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        raise MisreadError(f"the character U+{ord(bad[0]):04X} is not allowed; remove it", line)
    return text


def _syntax(problem: str) -> str:
    for part, remedy in _REMEDIES.items():
        if part in problem:
            return f"this is not valid YAML: {remedy}"
    return "this is not valid YAML; check the indentation, colons and quotes of this line and the one above"


def _bounded(node: yaml.Node) -> Iterator[yaml.Node]:
    """The nodes below a node. Raises MisreadError if aliases or nesting make them too many."""
    weight = 0
    for each, depth in _walk(node, 0):
        weight += _WEIGHT + (len(each.value) if isinstance(each, yaml.ScalarNode) else 0)
        if depth > _DEEPEST:
            raise MisreadError(_TOO_DEEP, line_of(node))
        if weight > LARGEST:
            raise MisreadError("aliases repeat too much; write the values out", line_of(node))
        yield each


def _repeated(nodes: Iterable[yaml.Node]) -> Iterator[MisreadError]:
    """A fault for each key that appears twice in its mapping."""
    for node in nodes:
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                raise MisreadError("a key is not text; write `key: value`", line_of(key))
            if key.value in seen:
                yield MisreadError(f"the key `{shown(key.value)}` appears twice; remove one", line_of(key))
            seen.add(key.value)


def _walk(node: yaml.Node, depth: int) -> Iterator[tuple[yaml.Node, int]]:
    """The nodes below a node, as often as aliases repeat them, each with its depth. It goes no deeper than allowed."""
    yield node, depth
    if depth <= _DEEPEST and not isinstance(node, yaml.ScalarNode):
        for child in node.value:
            for each in child if isinstance(child, tuple) else (child,):
                yield from _walk(each, depth + 1)


def shown(text: str) -> str:
    """A text of the file as a message shows it: one line, not too long."""
    plain = "".join(each if each.isprintable() else "?" for each in text)
    return plain if len(plain) <= 60 else f"{plain[:60]}…"


class _Loader(yaml.SafeLoader):
    """PyYAML with the types of YAML 1.2, and no others."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as PyYAML declares it
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Composes no deeper than allowed: the time that it takes grows with the square of the depth."""
        if self._depth > _DEEPEST:
            raise MisreadError(_TOO_DEEP, self.line + 1)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Replaces `<<` by what it merges, without what the mapping itself has."""
        super().flatten_mapping(node)
        node.value = list({key.value: (key, value) for key, value in node.value}.values())


def _int(_loader: Any, node: yaml.Node) -> int:
    text = str(node.value)
    # Python converts no more than 4,300 digits.
    if not _INT.fullmatch(text) or len(text) > 1_000:
        raise ConstructorError(None, None, "this is not a whole number", node.start_mark)
    return int(text, _BASES.get(text[:2], 10))


def _float(_loader: Any, node: yaml.Node) -> float:
    text = str(node.value).lower()
    if not _FLOAT.fullmatch(str(node.value)):
        raise ConstructorError(None, None, "this is not a number", node.start_mark)
    if "inf" in text or "nan" in text or float(text) in {float("inf"), float("-inf")}:
        raise ConstructorError(None, None, "a number must be finite; correct it", node.start_mark)
    return float(text)


def _bool(_loader: Any, node: yaml.Node) -> bool:
    if not _BOOL.fullmatch(str(node.value)):
        raise ConstructorError(None, None, "this is not true or false", node.start_mark)
    return str(node.value).lower() == "true"


def _str(_loader: Any, node: yaml.Node) -> str:
    text = str(node.value)
    if any("\ud800" <= each <= "\udfff" for each in text):
        raise ConstructorError(
            None, None, "half a character (\\ud800 to \\udfff) is no text; correct it", node.start_mark
        )
    return text


def _refused(_loader: Any, node: yaml.Node) -> Any:
    tag = shown(node.tag.replace(_TAG, "!!"))
    raise ConstructorError(None, None, f"the tag {tag} is not allowed; remove it", node.start_mark)


def _add(name: str, construct: Any, pattern: re.Pattern[str] | None = None, first: str = "") -> None:
    _Loader.add_constructor(_TAG + name, construct)
    if pattern:
        anchored = re.compile(rf"(?:{pattern.pattern})\Z")
        _Loader.add_implicit_resolver(_TAG + name, anchored, ["" if each == "_" else each for each in first])


_add("bool", _bool, _BOOL, "tTfF")
_add("int", _int, _INT, "-+0123456789")
_add("float", _float, _FLOAT, "-+.0123456789")
_add("null", yaml.SafeLoader.construct_yaml_null, _NULL, "~nN_")
_add("merge", _refused, re.compile("<<"), "<")
_add("str", _str)
_add("seq", yaml.SafeLoader.construct_yaml_seq)
_add("map", yaml.SafeLoader.construct_yaml_map)
_Loader.add_constructor(None, _refused)
