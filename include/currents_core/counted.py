"""Counts as messages write them."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """The count and its noun, in the plural unless there is one: `1 file`, `1,200 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
