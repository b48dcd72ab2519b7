"""Reads the connectors file. It reports all faults at once, each with its line, its place and the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from currents_core.counted import counted
from currents_core.errors import SetupError
from currents_core.setup.settings import Connector


@dataclass(frozen=True, slots=True)
class Connectors:
    """The valid connectors of the file at ``path``, by name, and one line per fault."""

    path: Path
    valid: Mapping[str, Connector]
    faults: tuple[str, ...]

    def report(self) -> str:
        """All faults as one text of several lines, for an import error or an exception."""
        head = f"{self.path} has {counted(len(self.faults), 'fault')}:"
        return "\n".join([head, *(f"  - {fault}" for fault in self.faults)])


def load_connectors(path: Path) -> Connectors:
    """Reads the connectors from the file at ``path``.

    A faulty connector is left out and its faults are listed; the others stay usable. Raises SetupError if the file
    can't be read, is not valid YAML, or has no list of connectors.
    """
    try:
        document = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise SetupError(
            f"the connectors file {path} can't be read: {error.strerror}; put it there, or name another one"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    items = _items(document, path)
    valid: dict[str, Connector] = {}
    faults: list[str] = []
    for number, node in enumerate(items):
        place = f"connectors[{number}]"
        try:
            connector = Connector.model_validate(_value(node, place, faults))
        except ValidationError as error:
            faults.extend(_fault(each, node, place) for each in error.errors())
            continue
        if connector.name in valid:
            faults.append(f"line {_line(node)}, {place}.name: {connector.name!r} is already taken; choose another")
        else:
            valid[connector.name] = connector
    return Connectors(path, valid, tuple(faults))


def load_connector(path: Path, name: str) -> Connector:
    """The connector called ``name`` in the file at ``path``. Raises SetupError if it is missing or faulty."""
    connectors = load_connectors(path)
    if name not in connectors.valid:
        known = ", ".join(connectors.valid) or "none"
        missing = f"no valid connector {name!r} in {connectors.path}; correct the name or the file (valid: {known})"
        raise SetupError("; ".join([missing, *connectors.faults]))
    return connectors.valid[name]


def _items(document: yaml.Node | None, path: Path) -> list[yaml.Node]:
    """The nodes of the list `connectors`. They stay nodes because nodes know their lines."""
    if isinstance(document, yaml.MappingNode) and [key.value for key, _ in document.value] == ["connectors"]:
        listed = document.value[0][1]
        if isinstance(listed, yaml.SequenceNode):
            return list(listed.value)
    raise SetupError(f"{path} must have one key, `connectors`, with a list of connectors; see docs/connectors.md")


def _value(node: yaml.Node, place: str, faults: list[str]) -> Any:
    faults.extend(
        f"line {line}, {place}: the key {key!r} appears twice; remove one" for key, line in _repeated_keys(node)
    )
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _repeated_keys(node: yaml.Node) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.value, _line(key)
            seen.add(key.value)
            yield from _repeated_keys(value)


def _fault(error: Mapping[str, Any], node: yaml.Node, place: str) -> str:
    where, nearest = _locate(node, error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    expected = _description(error["loc"])
    remedy = {"extra_forbidden": "; remove it or correct its spelling"}.get(
        error["type"], f"; expected: {expected}" if expected else ""
    )
    return f"line {_line(nearest)}, {place}{where}: {message}{remedy}"


def _locate(node: yaml.Node, loc: tuple[str | int, ...]) -> tuple[str, yaml.Node]:
    """The path of a fault as people write it, and the nearest node that the file has."""
    where = ""
    nearest: yaml.Node | None = node
    for step in loc:
        where += f"[{step}]" if isinstance(step, int) else f".{step}"
        below = _child(nearest, step)
        if below is not None:
            node = below
        nearest = below
    return where, node


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        # If a key appears twice, YAML takes the last.
        return next((value for key, value in reversed(node.value) if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return next(iter(node.value[step : step + 1]), None)
    return None


def _description(loc: tuple[str | int, ...]) -> str | None:
    model: Any = Connector
    described: str | None = None
    for step in loc:
        field = getattr(model, "model_fields", {}).get(step)
        if field is None:
            break
        described, model = field.description, field.annotation
    return described


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
