"""The import law between the rooms of the core. A room is a folder; the modules beside the folders are the words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.tools.airflow_env import ROOT

CORE = ROOT / "include" / "currents_core"
WORDS = "words"
# What each room may import besides itself.
MAY_IMPORT = {
    WORDS: set[str](),
    "setup": {WORDS},
    "reading": {WORDS},
    "sending": {WORDS},
    "books": {WORDS},
    "shaping": {WORDS, "setup"},
    "finding": {WORDS, "setup", "books"},
    "connecting": {WORDS},
    "showing": {WORDS, "setup", "books"},
    "delivering": {WORDS, "setup", "reading", "sending", "books", "shaping"},
}


def modules() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(CORE.parent).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """The room of a module given by its full name; a room's own name is in it."""
    below = module.split(".")[1:]
    return below[0] if below and below[0] in MAY_IMPORT else WORDS


def imports(path: Path) -> Iterator[str]:
    """The modules of the core that a module imports, wherever in it."""
    known = {name_of(each) for each in modules()}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in names if name.startswith("currents_core"))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("currents_core"))


def test_the_law_knows_every_room() -> None:
    assert {each.name for each in CORE.iterdir() if (each / "__init__.py").exists()} == set(MAY_IMPORT) - {WORDS}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_the_law_allows(room: str) -> None:
    inside = [path for path in modules() if room_of(name_of(path)) == room]
    assert inside
    broken = [
        f"{name_of(path)} imports {name}"
        for path in inside
        for name in imports(path)
        if room_of(name) not in {room, *MAY_IMPORT[room]}
    ]
    assert broken == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name_of(path): set(imports(path)) for path in modules()}
    assert sum(map(len, graph.values())) > 50
    TopologicalSorter(graph).prepare()
