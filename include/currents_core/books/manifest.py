"""The hour manifest: the reconciled account of an hour, for people and programs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from currents_core.books.account import Account, total
from currents_core.books.dead_letter import letters_of
from currents_core.books.head import FileState, Head, is_done
from currents_core.books.ledger import Ledger
from currents_core.books.pages import PageMissingError
from currents_core.counted import counted
from currents_core.file_key import Slice, SourceFile, event_type_of
from currents_core.ports import CHANGED

_NOT_TRIED = "not delivered; see the log of its `deliver` task"
_LEFT_OUT = "not delivered; the run was for other event types"


@dataclass(frozen=True, slots=True)
class HourAccount:
    """What has been delivered of an hour.

    ``files`` is the number of files, ``account`` that of their rows, and ``changed`` has the keys of the objects of
    which several versions were delivered.
    """

    files: int
    account: Account
    changed: list[str]


def hour_account(heads: Iterable[Head]) -> HourAccount:
    """What has been delivered of the slices with these heads."""
    states = [state for head in heads for state in head.files.values() if state.account]
    done = Counter(state.file.key for state in states if state.fate == "done")
    changed = sorted(key for key, versions in done.items() if versions > 1)
    return HourAccount(done.total(), total(state.account for state in states if state.account), changed)


@dataclass(frozen=True, slots=True)
class SliceFiles:
    """The files of a slice: how many are ``delivered``, how many are ``open``, and how many of these ``failed``.

    ``size`` is that of the delivered ones, in bytes.
    """

    delivered: int = 0
    open: int = 0
    failed: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What became of an hour: what was delivered, and the reason for each file that is still open, by key.

    ``failed`` are the keys of open files that could not be read, and ``missed`` those of the files that the run was to
    deliver and that are not done. ``slices`` counts files, and ``letters`` the dead letters of each event type by their
    codes.
    """

    connector: str
    hour: str
    delivered: HourAccount
    open_files: dict[str, str]
    failed: frozenset[str] = frozenset()
    missed: frozenset[str] = frozenset()
    slices: Mapping[Slice, SliceFiles] = field(default_factory=dict)
    letters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def open_slices(self) -> frozenset[Slice]:
        """The slices with open files."""
        return frozenset(place for place, files in self.slices.items() if files.open)

    @property
    def account(self) -> Account:
        """The account of the rows of all delivered files."""
        return self.delivered.account

    @property
    def complete(self) -> bool:
        """Whether every file found is delivered, with every row accounted for."""
        return not self.open_files and self.account.totals.balanced

    @property
    def complaint(self) -> str:
        """Why the hour is not complete."""
        if not self.open_files:
            return f"{self.hour}: the books don't balance ({self.account.totals}); please report this"
        reasons = list(self.open_files.values())
        return f"{self.hour} is not complete, {counted(len(reasons), 'open file')}: {'; '.join(reasons[:5])}"

    def of_run(self) -> Manifest:
        """The manifest as if what its run was to deliver were all that is open."""
        return replace(self, open_files={key: why for key, why in self.open_files.items() if key in self.missed})

    def as_json(self, now: datetime, before: Mapping[str, Any] | None = None) -> dict[str, object]:
        """The manifest as it is stored: the account, in total and per event type, warnings, and the files.

        ``before`` is the one that it replaces.
        """
        before = before or {}
        return {
            "connector": self.connector,
            "hour": self.hour,
            "complete": self.complete,
            **self.account.as_json(),
            "warnings": [f"personal data: {rule} found nothing; check its names" for rule in self.account.idle_rules],
            "files": {
                "delivered": self.delivered.files,
                "open": self.open_files,
                "changed_after_delivery": self.delivered.changed,
            },
            "slices": self._slices(now.isoformat(timespec="seconds"), before),
            "dead_letters": {name: dict(sorted(codes.items())) for name, codes in sorted(self.letters.items())},
            "runs": before.get("runs", []),
            "seq": before.get("seq", 0) + 1,
            "written_at": now.isoformat(timespec="seconds"),
        }

    def _slices(self, now: str, before: Mapping[str, Any]) -> dict[str, dict[str, object]]:
        """The files of each slice by its event type, and when that many were delivered for the first time."""
        known, found = before.get("slices", {}), {}
        if not known and before.get("files", {}).get("delivered") == self.delivered.files:
            # An earlier version wrote it, and nothing came since.
            now = before["written_at"]
        for place, files in sorted(self.slices.items(), key=lambda each: each[0].event_type or ""):
            name = place.event_type or ""
            same = name in known and known[name]["delivered"] == files.delivered
            found[name] = {**asdict(files), "delivered_at": known[name]["delivered_at"] if same else now}
        return found


class Before(NamedTuple):
    """The manifest that is to be replaced, and ``files``, which gives those that the source has now of some keys."""

    manifest: Mapping[str, Any]
    files: Callable[[Set[str]], Iterable[SourceFile]]


def _everything(_event_type: str | None) -> bool:
    return True


def reconcile(
    connector: str,
    hour: str,
    planned: Collection[SourceFile],
    ledger: Ledger,
    *,
    untried: Iterable[SourceFile] = (),
    before: Before | None = None,
    wants: Callable[[str | None], bool] = _everything,
) -> Manifest:
    """The manifest of an hour: what its heads say, compared with the files that its run found open.

    ``planned`` are those that the run was to deliver, and ``untried`` those of event types that it was not for. What is
    open in the manifest of ``before``, and here is not, stays open if no head calls done what the source has of it now:
    whoever found it may have looked later. What is of an event type that the connector does not want any more is not
    open.
    """
    heads = ledger.heads(hour)
    states = {file_id: state for head in heads for file_id, state in head.files.items()}
    told = {
        key: why
        for key, why in (before.manifest["files"]["open"] if before else {}).items()
        if wants(event_type_of(key))
    }
    kept = [state for state in states.values() if state.fate in {"done", "gone"} or wants(state.file.event_type)]
    failed = {state.file.key: state.reason for state in kept if state.fate == "failed"}
    reasons, left = dict(failed), []
    for file, why in (*((each, _NOT_TRIED) for each in planned), *((each, _LEFT_OUT) for each in untried)):
        state = states.get(file.id)
        if not is_done(state):
            reasons.setdefault(file.key, f"{file.uri}: {CHANGED if state and state.fate == 'gone' else why}")
            if not state or state.fate == "gone":
                left.append(file)
    for state in kept:
        if state.fate == "open":
            # Another run's: some of its rows are sent.
            reasons.setdefault(state.file.key, told.get(state.file.key, f"{state.file.uri}: {_NOT_TRIED}"))
    known = told.keys() - reasons.keys()
    for file in before.files(known) if before and known else ():
        state = states.get(file.id)
        if not is_done(state):
            reasons[file.key] = told[file.key]
            left.append(file)
    return Manifest(
        connector,
        hour,
        hour_account(heads),
        reasons,
        frozenset(failed),
        frozenset(file.key for file in planned if not is_done(states.get(file.id))),
        _slice_files(kept, left),
        _letters(heads, ledger),
    )


def _slice_files(states: Iterable[FileState], left: Iterable[SourceFile]) -> dict[Slice, SliceFiles]:
    """The files of each slice: those with a state, and those that are left without one."""
    found: dict[Slice, Counter[str]] = defaultdict(Counter)
    for state in states:
        told = found[state.file.slice]
        if state.fate == "done":
            told.update(delivered=1, size=state.file.size)
        elif state.fate != "gone":
            told.update(open=1, failed=int(state.fate == "failed"))
    for file in left:
        found[file.slice]["open"] += 1
    return {place: SliceFiles(**told) for place, told in found.items()}


def _letters(heads: Iterable[Head], ledger: Ledger) -> dict[str, Counter[str]]:
    """The dead letters of each event type by their codes."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for head in heads:
        for (event_type, code), count in _of_slice(head, ledger).items():
            found[event_type][code] += count
    return found


def _of_slice(head: Head, ledger: Ledger) -> Counter[tuple[str, str]]:
    """The dead letters of a slice by their event types and codes; none if they are lost."""

    def by_code(head: Head) -> Counter[tuple[str, str]]:
        states = [state for state in head.files.values() if state.letters]
        letters = letters_of(ledger.pages(head.slice), states)
        return Counter((letter["event_type"], letter["code"]) for _, letter in letters)

    try:
        return ledger.look(head, by_code)
    except PageMissingError:
        return Counter()
