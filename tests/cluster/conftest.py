"""Which tests of the cluster its short form leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what comes from `tests/dags` as slow: `make slow` plays the same on one machine."""
    for item in items:
        if (
            item.path.parent == HERE
            and isinstance(item, pytest.Function)
            and item.function.__module__.startswith("tests.dags")
        ):
            item.add_marker(pytest.mark.slow)
