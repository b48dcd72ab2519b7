"""What the codes of dead letters mean, and what to do about them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from currents_core.books.overview import HourView


class Meaning(NamedTuple):
    """What a code says of a row, and what to do. ``is_final``: a redrive meets the same, whatever anybody does here."""

    what: str
    remedy: str
    is_final: bool = False


_BRAZE = "Nothing can send it; ask Braze, and give the file and the row that the letter names."
# docs/events.md has the codes of this project.
MEANINGS = {
    "no_id": Meaning("has no `id`, an empty one, or one that is not text", _BRAZE, is_final=True),
    "no_time": Meaning("has no `time`, or one outside the years 1 to 9999", _BRAZE, is_final=True),
    "not_utf8": Meaning("contains bytes that are not UTF-8", _BRAZE, is_final=True),
    "no_event_type": Meaning("has no event type, and its file names none", _BRAZE, is_final=True),
    "event_type_too_long": Meaning("has an event type of more than 128 characters", _BRAZE, is_final=True),
    "broken_properties": Meaning(
        "has properties that are not a JSON object",
        "Set `broken_properties: keep` to send them as a string, then redrive.",
    ),
    "oversized": Meaning("makes an event larger than EventBridge takes", "Set `oversized: claim_check`, then redrive."),
    "oversized_row": Meaning("has more text than could ever be sent", _BRAZE, is_final=True),
    "NotAuthorizedForSourceException": Meaning(
        "may not be sent from this source", "Correct the policy of the bus or of the sender, then redrive."
    ),
    "NotAuthorizedForDetailTypeException": Meaning(
        "may not be sent with this detail type", "Correct the policy of the bus or of the sender, then redrive."
    ),
    "AccessDeniedException": Meaning(
        "was refused by a policy", "Correct the policy of the bus or of the sender, then redrive."
    ),
    "MalformedDetail": Meaning(
        "has a detail that EventBridge took for no JSON", "Redrive once; if it comes back, report it."
    ),
    "RedactionFailure": Meaning(
        "could not be redacted by EventBridge", "Look at the data protection of the bus, then redrive."
    ),
}
_REFUSED = Meaning(
    "was refused by EventBridge for good",
    "Read the reason that came with it; when its cause is gone, redrive.",
)


@dataclass(frozen=True, slots=True)
class Group:
    """The dead letters with one code and event type: how many, and the hours that have them, oldest first."""

    code: str
    event_type: str
    count: int
    hours: tuple[str, ...]

    @property
    def meaning(self) -> Meaning:
        """What the code says."""
        return meaning_of(self.code)


@dataclass(frozen=True, slots=True)
class Letters:
    """The dead letters of some hours, by code and event type, the most frequent first."""

    groups: tuple[Group, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(group.count for group in self.groups)


def meaning_of(code: str) -> Meaning:
    """What a code says; of one that nobody knows, what is true of all of EventBridge's."""
    return MEANINGS.get(code, _REFUSED)


def letters_of(views: Iterable[HourView]) -> Letters:
    """The dead letters of some hours."""
    counts: Counter[tuple[str, str]] = Counter()
    hours: dict[tuple[str, str], list[str]] = defaultdict(list)
    for view in views:
        for name, each in view.types.items():
            for code, count in each.codes.items():
                counts[code, name] += count
                hours[code, name].append(view.hour)
    found = [Group(code, name, count, tuple(sorted(hours[code, name]))) for (code, name), count in counts.items()]
    return Letters(tuple(sorted(found, key=lambda group: (-group.count, group.code, group.event_type))))
