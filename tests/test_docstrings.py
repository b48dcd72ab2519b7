"""What docstrings and comments name in double backticks exists: a name that is gone must not go on being pointed at."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests.tools.airflow_env import ROOT

FOLDERS = ("include", "plugins", "dags")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
_NAME = re.compile(r"\w+(\.\w+)*")
Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def named_in(text: str) -> list[str]:
    return re.findall(r"``([^`]+)``", text)


def docstrings(path: Path) -> Iterator[tuple[list[Scope], str]]:
    """The docstrings of a module, each with what it stands in, from the module to what it documents."""

    def below(scopes: list[Scope]) -> Iterator[tuple[list[Scope], str]]:
        if text := ast.get_docstring(scopes[-1]):
            yield scopes, text
        for node in scopes[-1].body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from below([*scopes, node])

    return below([tree(path)])


def comments(path: Path) -> Iterator[str]:
    with path.open("rb") as source:
        yield from (token.string for token in tokenize.tokenize(source.readline) if token.type == tokenize.COMMENT)


@cache
def names_of(scope: Scope) -> frozenset[str]:
    """The names that a scope gives: its parameters, what it defines, and the attributes it gives to ``self``."""
    found = {each.arg for each in ast.walk(scope) if isinstance(each, ast.arg)}
    for node in ast.walk(scope):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).split(".")[0])
    return frozenset(found)


@cache
def of_the_project() -> dict[str, frozenset[str]]:
    """What the project's packages, modules and classes hold, by their names; several of one name are taken together."""
    found: dict[str, frozenset[str]] = {}
    for path in MODULES:
        name = path.parent.name if path.stem == "__init__" else path.stem
        classes = {node.name: names_of(node) for node in tree(path).body if isinstance(node, ast.ClassDef)}
        holders = {path.parent.name: frozenset({path.stem}), name: names_of(tree(path)), **classes}
        for holder, names in holders.items():
            found[holder] = found.get(holder, frozenset()) | names
    return found


def resolves(name: str, scopes: list[Scope]) -> bool:
    first, *rest = name.split(".")
    project = of_the_project()
    if rest:
        return all(name in project.get(holder, ()) for holder, name in pairwise([first, *rest]))
    return first in project or any(first in names_of(scope) for scope in scopes)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_docstrings_and_comments_name_exists(path: Path) -> None:
    named = [(scopes, name) for scopes, text in docstrings(path) for name in named_in(text)]
    named += [([tree(path)], name) for text in comments(path) for name in named_in(text)]
    stale = [name for scopes, name in named if not _NAME.fullmatch(name) or not resolves(name, scopes)]
    assert stale == []


def test_a_name_that_is_gone_is_found() -> None:
    module = ast.parse("class Kept:\n    field: int\n")
    assert resolves("Kept.field", [module]) is False
    assert resolves("field", [module])
    assert not resolves("gone", [module])
    assert not resolves("dead_letter.Rejection", [module])
    assert resolves("normalise.Rejection", [module])
