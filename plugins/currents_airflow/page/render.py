"""Makes HTML of templates. Whatever a template is given is escaped."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from currents_core.showing.calendar import STATES

# What a cell shows besides its color.
GLYPHS = {
    "failed": "✕",
    "late": "!",
    "open": "◐",
    "delivering": "▶",
    "waiting": "…",
    "complete": "✓",
    "empty": "·",
    "none": "",
}
_KB = 1_000


def number(value: float) -> str:
    """A count with separators: 1,234."""
    return f"{value:,.0f}"


def short(value: float) -> str:
    """A count in three digits or so: 999, 1.2 k, 34 M."""
    for unit in ("", " k", " M", " G"):
        if abs(value) < _KB or unit == " G":
            break
        value /= _KB
    return f"{value:.0f}{unit}" if not unit or value >= 10 else f"{value:.1f}{unit}"


def size(value: float) -> str:
    """Bytes: 1.2 MB."""
    return f"{short(value)}B" if value >= _KB else f"{value:.0f} B"


def span(seconds: float | None) -> str:
    """A time span: 90 s, 12 min, 3.5 h, 2.1 days; a dash where there is none."""
    if seconds is None:
        return "-"
    # An hour may have been exported before its end.
    seconds = max(0.0, seconds)
    for most, each, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < most:
            value = seconds / each
            return f"{value:.0f} {unit}" if value >= 10 or unit == "s" else f"{value:.1f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def percent(part: float) -> str:
    """A part of one: 12 %, 0.3 %."""
    return f"{part * 100:.0f} %" if part >= 0.095 or not part else f"{part * 100:.1f} %"


def dollars(value: float) -> str:
    """Money: <$0.0001, $0.0042, $1.23, $1,234."""
    if value and value < 0.0001:
        return "<$0.0001"
    return f"${value:,.0f}" if value >= 100 else f"${value:,.2f}" if value >= 0.1 or not value else f"${value:.4f}"


def moment(text: str) -> str:
    """A time in ISO format, for people: 2026-11-23 09:20:05 UTC."""
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return text


def coded(text: str) -> Markup:
    """A text whose words in backticks are code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def dag_of(connector: str, kind: str) -> str:
    """The DAG of a run of a connector, whose record says its kind."""
    if kind == "redrive":
        return "currents_redrive"
    return f"currents_redrive_{connector}" if kind == "automatic redrive" else f"currents_export_{connector}"


def environment() -> Environment:
    """The templates."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    formats = (number, short, size, span, percent, dollars, moment, coded)
    filters: dict[str, Any] = {each.__name__: each for each in formats}
    made.filters.update(filters)
    made.globals.update(states=STATES, glyphs=GLYPHS, dag_of=dag_of)
    return made
