"""Shell patterns on event types and codes: what a pattern may look like, and what it matches."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase

LONGEST = 256
_FORM = re.compile(r"(?:[^\s\[\]]|\[!?[^\s\[\]!][^\s\[\]]*\])+")
# Braze's names share most of their parts, so only a small difference is a misspelling.
_CUTOFF = 0.75


def require_pattern(text: str) -> str:
    """The pattern, if it is one. Raises ValueError with the remedy."""
    if not text:
        raise ValueError("a pattern is empty; write `*` for everything, or remove it")
    if len(text) > LONGEST:
        raise ValueError(f"a pattern has {len(text):,} characters; shorten it to {LONGEST}")
    if not text.isprintable() or any(each.isspace() for each in text):
        raise ValueError("a pattern contains a space or a control character; remove it")
    if not _FORM.fullmatch(text):
        raise ValueError("a pattern has a bracket without its other half, or nothing between; write such as [ab] or *")
    return text


def matches_any(text: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches a text."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def correction(pattern: str, known: Iterable[str]) -> str | None:
    """The pattern that was probably meant, if ``pattern`` matches nothing known: its misspelled parts corrected.

    Parts lie between dots. Those with a wildcard stay as they are.
    """
    names = list(known)
    parts = {part for name in names for part in name.split(".")}
    corrected = ".".join(_part(each, parts) for each in pattern.split("."))
    return corrected if corrected != pattern and any(fnmatchcase(name, corrected) for name in names) else None


def _part(part: str, known: set[str]) -> str:
    if part in known or set(part) & set("*?["):
        return part
    by_case = {each.lower(): each for each in sorted(known)}
    near = get_close_matches(part.lower(), by_case, n=1, cutoff=_CUTOFF)
    return by_case[near[0]] if near else part
