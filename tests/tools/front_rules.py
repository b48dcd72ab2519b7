"""What EventBridge asks of a request of events and of each entry, and how much it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import orjson

TIME_BYTES = 14
INT64 = range(-(2**63), 2**63)
REQUIRED = ("Source", "DetailType", "Detail")
TEXTS = (*REQUIRED, "EventBusName", "TraceHeader")

STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
# An integer of fewer than 19 digits is within int64.
MANY_DIGITS = re.compile(r"\d{19}")
# Where 19 digits follow each other, so do three among every sixth character: a sixth of the text is soon searched.
SIXTH = 6
SOME_DIGITS = re.compile(r"\d{3}")
LONG_INTEGER = re.compile(r"(?<![\d.eE+-])-?\d{19,}(?![\d.eE])")

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one PutEvents request may carry; each number is the last that is accepted.

    - entries, and levels of nesting in a Detail, whose outermost object is the first:
      https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
    - bytes, of an entry and of all entries: "less than 1 MB" on the same page can be read both ways. A million bytes is
      the last that is safe however a megabyte is counted
    - characters of a DetailType:
      https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
    - characters of a resource, told of the second generation only:
      https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_PutEventsRequestEntry.html
    """

    max_entries: int = 10
    max_entry_bytes: int = 1_000_000
    max_request_bytes: int = 1_000_000
    max_levels: int = 1_000
    max_detail_type: int = 128
    max_resource: int = 2_048


class Fault(NamedTuple):
    """Why a request, or an entry, is refused; ``planned`` names what in the plan had it so, if anything.

    Codes: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
    """

    code: str
    message: str
    planned: str | None = None


NOT_AUTHORIZED = Fault("NotAuthorizedForSourceException", "Not authorized for the source.")


def read_entries(body: bytes) -> list[Entry]:
    """The entries of a request's body. Raises ValueError where its JSON or the types in it are wrong."""
    request = orjson.loads(body)
    entries = request.get("Entries") if isinstance(request, dict) else body
    entries = [] if entries is None else entries
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise ValueError("the body is no PutEvents request")
    return entries


def _is_entry(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    resources = value.get("Resources") or []
    return isinstance(resources, list) and all(
        isinstance(text, str | None) for text in (*resources, *map(value.get, TEXTS))
    )


def entry_size(entry: Entry) -> int:
    """The bytes that EventBridge counts for an entry: 14 for a Time, and the texts in UTF-8.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
    """
    texts = [*map(entry.get, REQUIRED), *(entry.get("Resources") or [])]
    return TIME_BYTES * (entry.get("Time") is not None) + sum(len(text.encode()) for text in texts if text)


def check_request(entries: list[Entry], limits: Limits) -> Fault | None:
    """Why a request is refused as a whole, or None.

    One entry over the limit also costs the whole request: the service answers it with the same ValidationException
    as a total over the limit, never with a result of that entry.
    """
    if not 1 <= len(entries) <= limits.max_entries:
        bound = f"less than or equal to {limits.max_entries}" if entries else "greater than or equal to 1"
        reason = f"failed to satisfy constraint: Member must have length {bound}"
        return Fault("ValidationException", f"1 validation error detected: Value at 'entries' {reason}")
    sizes = [entry_size(entry) for entry in entries]
    if max(sizes) > limits.max_entry_bytes or sum(sizes) > limits.max_request_bytes:
        return Fault("ValidationException", "Total size of the entries in the request is over the limit.")
    return None


def check_entry(entry: Entry, limits: Limits) -> Fault | None:
    """Why a single entry is refused, or None.

    The service answers sources that begin with `aws.` with NotAuthorizedForSourceException, not with InvalidArgument.
    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
    """
    return check_required(entry) or check_source(entry) or check_content(entry, limits)


def check_required(entry: Entry) -> Fault | None:
    """Why an entry that lacks something is refused, or None."""
    for name in REQUIRED:
        if not entry.get(name):
            return invalid(name, f"{name} is a required argument.")
    return None


def check_source(entry: Entry) -> Fault | None:
    """Why an entry from a source of AWS's is refused, or None."""
    return NOT_AUTHORIZED if entry["Source"].startswith("aws.") else None


def check_content(entry: Entry, limits: Limits) -> Fault | None:
    """Why an entry is refused for its type, resources or Detail, or None."""
    if len(entry["DetailType"]) > limits.max_detail_type:
        return invalid("DetailType", f"It is longer than {limits.max_detail_type} characters.")
    if any(len(resource or "") > limits.max_resource for resource in entry.get("Resources") or []):
        return invalid("Resources", f"One is longer than {limits.max_resource} characters.")
    return check_detail(entry["Detail"], limits)


def check_detail(detail: str, limits: Limits) -> Fault | None:
    """Why a Detail is refused, or None."""
    return None if is_detail(detail, limits) else Fault("MalformedDetail", "Detail is malformed.")


def invalid(name: str, reason: str) -> Fault:
    """An argument is refused."""
    return Fault("InvalidArgument", f"Parameter {name} is not valid. Reason: {reason}")


def is_detail(text: str, limits: Limits) -> bool:
    """Whether text is a JSON object without NaN or infinities, with integers in int64, and not nested too deep."""
    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
    if text.count("{") + text.count("[") <= limits.max_levels and not _has_many_digits(text):
        return is_object
    return is_object and _is_within(STRING.sub("", text), limits)


def _has_many_digits(text: str) -> bool:
    return bool(SOME_DIGITS.search(text[::SIXTH]) and MANY_DIGITS.search(text))


def _is_within(bare: str, limits: Limits) -> bool:
    """The slow look at JSON without its strings: orjson tells no depth, and makes floats of long integers."""
    steps = (1 if each in "{[" else -1 for each in bare if each in "{[]}")
    integers = LONG_INTEGER.findall(bare)
    return max(accumulate(steps)) <= limits.max_levels and all(int(each) in INT64 for each in integers)


def bus_name(entry: Entry) -> str:
    """The name of the bus that an entry is for; it may be given as an ARN."""
    return str(entry.get("EventBusName") or "default").rpartition("/")[2]
