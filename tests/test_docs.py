"""The docs: their links lead somewhere, their lines wrap as the code's do, and the messages they explain exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.airflow_env import ROOT

DOCS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINE_LENGTH = 120
# Tables, pictures and code can't wrap.
_UNWRAPPED = ("|", "![", "    ")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """The lines outside fenced blocks, with their numbers."""
    fenced = False
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        fenced ^= line.lstrip().startswith("```")
        if not fenced:
            yield number, line


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a file."""
    headings = [line.lstrip("# ") for _, line in prose(path) if line.startswith("#")]
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_prose_wraps_at_the_line_length_of_the_code(path: Path) -> None:
    too_long = [n for n, line in prose(path) if len(line) > LINE_LENGTH and not line.startswith(_UNWRAPPED)]
    assert too_long == []


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    text = "\n".join(line for _, line in prose(path))
    broken = []
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        linked = path.parent / file if file else path
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            broken.append(target)
    assert broken == []


def texts_of_the_code() -> Iterator[str]:
    """Every string in the code, those of f-strings piece by piece."""
    for folder in ("include", "plugins"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


@pytest.mark.parametrize(
    ("page", "heading"), [("connectors.md", "## Messages"), ("outages.md", "## What a person does")]
)
def test_the_messages_that_are_explained_exist(page: str, heading: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    rows = re.findall(r"^\| (`[^|]*`) \|", text[text.index(heading) :], re.MULTILINE)
    messages = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    assert len(messages) > 8
    found = list(texts_of_the_code())
    # The code puts the place in, and AWS says what is after a colon.
    varying = re.compile(r"…|s3://|: [A-Z]\w+$")
    pieces = {piece.strip(" :") for message in messages for piece in varying.split(message)}
    assert [piece for piece in sorted(pieces) if not any(piece in text for text in found)] == []
