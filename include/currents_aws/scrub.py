"""Makes what AWS says safe to log and to park: one short line without values of records, which it may quote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

LONGEST = 300
HIDDEN = "[…]"

# Shorter values, such as `true` or a platform, say nothing about anybody and occur in any sentence.
_SHORTEST_VALUE = 4
# What is said in more characters than this is not searched.
_LONGEST_READ = 5_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_JSON = re.compile(r"[{\[]\s*\\?[\"'{\[].*", re.DOTALL)
_EMAIL = re.compile(r"[^\s@\"'<>:;,()]+@[^\s@\"'<>:;,()]+")
# Short names in quotes, and ARNs, say what to mend.
_QUOTED = re.compile(r"(?<!\w)([\"'])(?!arn:)(?:(?!\1).){20,}(?:\1|$)", re.DOTALL)


def scrubbed(text: str, detail: str = "") -> str:
    """``text`` as one line of at most ``LONGEST`` characters, without what looks like a value of a record.

    ``detail`` is the JSON text of the event that it is about; none of its values stays. Control characters are escaped.
    """
    text = text[:_LONGEST_READ]
    for value in sorted(_values_in(detail), key=len, reverse=True) if text and detail else ():
        text = text.replace(value, HIDDEN)
    for pattern in (_JSON, _EMAIL, _QUOTED):
        text = pattern.sub(HIDDEN, text)
    line = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _values_in(detail: str) -> set[str]:
    try:
        events = json.loads(detail, parse_int=str, parse_float=str)
        values = {each for event in _envelopes(events) for each in _leaves(event)}
    except (ValueError, RecursionError):
        return set()
    # A value is quoted as it is or as JSON escapes it.
    forms = values | {json.dumps(value, ensure_ascii=each)[1:-1] for value in values for each in (True, False)}
    return {each for each in forms if len(each) >= _SHORTEST_VALUE}


def _envelopes(events: Any) -> Iterator[Any]:
    """One event or several, without their event types, which say nothing about anybody and which messages name."""
    for event in events if isinstance(events, list) else [events]:
        if isinstance(event, dict):
            yield {name: value for name, value in event.items() if name != "event_type"}
        else:
            yield event


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    elif isinstance(value, str):
        yield value
