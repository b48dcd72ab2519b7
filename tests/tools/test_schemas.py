from __future__ import annotations

from tests.tools.schemas import FOLDER, files


def test_the_schemas_in_the_docs_are_what_the_code_makes() -> None:
    kept = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}
    assert kept == files(), "run `make schemas`"
