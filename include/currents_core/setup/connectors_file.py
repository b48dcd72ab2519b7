"""Reads the connectors: a file with a list of them, or a folder with a file for each.

It reports all faults at once, each with its line, its place and the remedy. A connector with a fault is left out; the
others stay usable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from currents_core.counted import counted
from currents_core.errors import SetupError
from currents_core.setup.faults import Fault, Loc, did_you_mean, faults_of
from currents_core.setup.fitting import misfits
from currents_core.setup.settings import Connector, State
from currents_core.setup.yaml_file import MisreadError, line_of, plain_value, read_node, shown

_FORM = "; see docs/connectors.md"


@dataclass(frozen=True, slots=True)
class Connectors:
    """The valid connectors of the file or folder at ``path``, by name, and one line per fault.

    ``faults_of`` has the faults of each connector whose name can be read; they name no other connector.
    ``state_roots`` are the buckets, and what keys begin with there, of the state of all connectors, faulty ones too.
    ``is_whole`` says whether all files could be read: otherwise the same files may give others as soon as they can be.
    """

    path: Path
    valid: Mapping[str, Connector]
    faults: tuple[str, ...]
    faults_of: Mapping[str, tuple[str, ...]]
    state_roots: frozenset[tuple[str, str]] = frozenset()
    is_whole: bool = True

    def one(self, name: str) -> Connector:
        """The connector called ``name``. Raises SetupError if it is missing or faulty."""
        if name in self.valid:
            return self.valid[name]
        if own := self.faults_of.get(name):
            raise SetupError(f"{self.path}: connector {name!r} has {counted(len(own), 'fault')}: {'; '.join(own)}")
        known, near = ", ".join(self.valid) or "none", did_you_mean(name, self.valid)
        raise SetupError(
            f"no valid connector {name!r} in {self.path}; correct the name or the file (valid: {known}){near}"
        )

    def report(self) -> str:
        """All faults as one text of several lines, for an import error or an exception."""
        head = f"{self.path} has {counted(len(self.faults), 'fault')}:"
        return "\n".join([head, *(f"  - {fault}" for fault in self.faults)])


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where one connector is: its node, the words for its place, and the name that its file gives it, if any."""

    node: yaml.Node
    place: str
    file: str = ""
    name: str | None = None

    def fault(self, fault: Fault) -> str:
        where, line = _locate(self.node, fault.loc)
        return self.line(line, f"{self.place}{where}".removeprefix("."), fault.message)

    def line(self, number: int, place: str, message: str) -> str:
        return ", ".join(each for each in (self.file, f"line {number}", place) if each) + f": {message}"


@dataclass(frozen=True, slots=True)
class _Read:
    """An entry: its name, if it has one, its connector, or None, its faults, and where its ``state`` is, if it says."""

    name: str | None
    connector: Connector | None
    faults: list[str]
    state: tuple[str, str] | None = None


@dataclass(slots=True)
class _Faults:
    """The faults found so far: ``all`` in their order, and those ``of`` each connector whose name can be read."""

    all: list[str] = field(default_factory=list)
    of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    is_whole: bool = True

    def add(self, name: str | None, *told: str) -> None:
        self.all += told
        if name and told:
            self.of[name] = (*self.of.get(name, ()), *told)


def load_connectors(path: Path, partner_name: str | None = None) -> Connectors:
    """Reads the connectors from the file or the folder at ``path``.

    ``partner_name`` is that of partner event sources whose connectors name no other. A faulty connector is left out,
    and its faults are listed; the others stay usable. Raises SetupError if the path can't be read, is not valid YAML,
    has no list of connectors, or is a folder without files.
    """
    faults, valid = _Faults(), dict[str, Connector]()
    taken, state_roots = dict[str, _Entry](), set[tuple[str, str]]()
    for entry in _in_folder(path, faults) if path.is_dir() else _in_file(path, faults):
        read = _read(entry, partner_name)
        if read.state:
            state_roots.add(read.state)
        if read.connector and (before := taken.get(read.connector.name)):
            read.faults.append(entry.fault(_taken(read.connector.name, before)))
        faults.add(read.name, *read.faults)
        if read.connector and not read.faults:
            valid[read.connector.name], taken[read.connector.name] = read.connector, entry
    return Connectors(path, valid, tuple(faults.all), faults.of, frozenset(state_roots), faults.is_whole)


def files_of(folder: Path) -> list[Path]:
    """The files of a folder of connectors, each of which has one, in the order of their names. Raises OSError."""
    return sorted(each for each in folder.iterdir() if each.suffix in {".yaml", ".yml"} and each.name[0] != ".")


def _in_file(path: Path, faults: _Faults) -> Iterator[_Entry]:
    """The connectors of one file. They are nodes because nodes know their lines."""
    try:
        document = read_node(path)
    except OSError as error:
        raise SetupError(
            f"the connectors file {path} can't be read: {error.strerror}; put it there, or name another one"
        ) from error
    except MisreadError as error:
        raise SetupError(f"{path}, {error}" if error.line else f"{path}: {error}") from None
    keys = document.value if isinstance(document, yaml.MappingNode) else []
    lists = [value for key, value in keys if key.value == "connectors"]
    if len(lists) != 1 or not isinstance(lists[0], yaml.SequenceNode):
        near = "".join(did_you_mean(key.value, ["connectors"]) for key, _ in keys if isinstance(key, yaml.ScalarNode))
        raise SetupError(f"{path} must have one key, `connectors`, with a list of connectors{near or _FORM}")
    for key, _ in keys:
        if key.value != "connectors":
            name = shown(str(key.value)) if isinstance(key, yaml.ScalarNode) else "?"
            faults.add(None, f"line {line_of(key)}, {name}: there is no such key; the file has one key, `connectors`")
    for number, node in enumerate(lists[0].value):
        yield _Entry(node, f"connectors[{number}]")


def _in_folder(path: Path, faults: _Faults) -> Iterator[_Entry]:
    """The connectors of a folder: one a file, which names it."""
    try:
        files = files_of(path)
    except OSError as error:
        raise SetupError(f"the connectors folder {path} can't be read: {error.strerror}; correct its rights") from error
    if not files:
        raise SetupError(f"the connectors folder {path} has no file *.yaml; put one for each connector there")
    for file in files:
        name = shown(file.name)
        try:
            node = read_node(file)
        except OSError as error:
            faults.is_whole = False
            faults.add(file.stem, f"{name}: it can't be read: {error.strerror}; correct it or remove it")
        except MisreadError as error:
            faults.add(file.stem, f"{name}, {error}" if error.line else f"{name}: {error}")
        else:
            if isinstance(node, yaml.MappingNode):
                yield _Entry(node, "", name, file.stem)
            else:
                faults.add(file.stem, f"{name}: it must have the keys of one connector, such as `source`{_FORM}")


def _read(entry: _Entry, partner_name: str | None) -> _Read:
    misread: list[MisreadError] = []
    try:
        value = plain_value(entry.node, misread)
    except MisreadError as error:
        told = entry.line(error.line or line_of(entry.node), entry.place, error.message)
        return _Read(_named(entry), None, [told])
    if entry.name and isinstance(value, dict):
        value = {"name": entry.name} | value
    _tell_partner(value, partner_name)
    repeated = [entry.line(each.line or 0, entry.place, each.message) for each in misread]
    connector, faults = _validated(value, entry.name)
    named = value.get("name") if isinstance(value, dict) else None
    name = entry.name or (named if isinstance(named, str) else None)
    return _Read(name, connector, [*map(entry.fault, faults), *repeated], _state_of(name, value))


def _named(entry: _Entry) -> str | None:
    """The name of an entry that is no plain YAML. In a folder it is that of the file."""
    node, _ = _child(entry.node, "name", 0)
    return entry.name or (str(node.value) if isinstance(node, yaml.ScalarNode) else None)


def _taken(name: str, before: _Entry) -> Fault:
    """The fault of a connector that has the name of one before it."""
    where = before.file or f"line {line_of(before.node)}"
    return Fault(("name",), f"`{name}` is already taken, in {where}; choose another")


def _state_of(name: str | None, value: Any) -> tuple[str, str] | None:
    """Where an entry of this name and value says that its state is; None if that can't be read."""
    told = value.get("state") if isinstance(value, dict) else None
    if not name or not isinstance(told, dict):
        return None
    try:
        state = State(**{key: told[key] for key in ("bucket", "prefix") if key in told})
    except ValidationError:
        return None
    return state.bucket, state.root(name)


def _tell_partner(value: Any, partner_name: str | None) -> None:
    """Puts the name that is told once for all connectors where this one needs it and names no other."""
    destination = value.get("destination") if isinstance(value, dict) else None
    if partner_name and isinstance(destination, dict) and destination.get("kind") == "partner_source":
        destination.setdefault("partner_name", partner_name)


def _validated(value: Any, name: str | None) -> tuple[Connector | None, list[Fault]]:
    try:
        # As JSON: there a list is a tuple and a text may be a date, but nothing else is taken for something else.
        connector = Connector.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return None, list(faults_of(error, Connector))
    if name and connector.name != name:
        return None, [Fault(("name",), f"the file is called {name}; make the two match, or remove `name`")]
    return connector, list(misfits(connector))


def _locate(node: yaml.Node, loc: Loc) -> tuple[str, int]:
    """The path of a fault as people write it, and the line of the nearest key or item that the file has."""
    where, line = "", line_of(node)
    below: yaml.Node | None = node
    for step in loc:
        where += f"[{step}]" if isinstance(step, int) else f".{shown(step)}"
        below, line = _child(below, step, line)
    return where, line


def _child(node: yaml.Node | None, step: str | int, line: int) -> tuple[yaml.Node | None, int]:
    """What a node has at a step and the line of it; None and the line of what is above, if it has nothing there."""
    if isinstance(node, yaml.MappingNode):
        # If a key appears twice, YAML takes the last.
        found = [(value, line_of(key)) for key, value in node.value if key.value == step]
        return found[-1] if found else (None, line)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return node.value[step], line_of(node.value[step])
    return None, line
