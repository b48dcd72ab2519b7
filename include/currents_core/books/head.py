"""The head of a slice: one small object that says who has the slice and what became of each of its files.

It is only ever replaced by compare-and-swap. What was written before a head names it does not count; whoever's swap
fails has lost the slice. So it is the claim, the checkpoint, the fence, the books and the commit in one.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import orjson

from currents_core.books.account import Account
from currents_core.books.format import FORMAT, parsed
from currents_core.books.id_pages import Ids, no_ids
from currents_core.books.row_set import RowSet
from currents_core.errors import CurrentsError
from currents_core.file_key import Slice, SourceFile

# What grows beyond this goes to pages: the states of files, in bytes of JSON, and ids.
INLINE_BYTES = 1 << 16
INLINE_IDS = 1_024

Fate = Literal["open", "done", "failed", "gone"]


@dataclass(frozen=True, slots=True)
class FileState:
    """What became of one file.

    ``number`` stands for the file in pages of ids. ``rows`` are its accepted rows, and nothing else of a row's fate is
    kept while it is open: all other rows are decided anew by whoever resumes, under the settings of then. ``account``
    is that of a file that is done or gone. ``reason`` says why it failed, and ``settings`` is the fingerprint of those
    under which it did. ``letters`` are the pages with its dead letters. ``settled_before`` are rows that an earlier
    version of this project settled, one way or another. ``deduplicated`` counts the accepted rows that the destination
    said it had already.
    """

    file: SourceFile
    number: int
    fate: Fate = "open"
    rows: RowSet = field(default_factory=RowSet)
    account: Account | None = None
    reason: str = ""
    letters: tuple[str, ...] = ()
    settled_before: RowSet = field(default_factory=RowSet)
    deduplicated: int = 0
    settings: str = ""

    def require_true(self) -> None:
        """Raises CurrentsError if the books of a file that is done don't balance, or tell of more than was accepted."""
        if self.fate not in {"done", "gone"}:
            return
        totals = self.account.totals if self.account else None
        if not totals or not totals.balanced or (not self.settled_before and totals.sent != len(self.rows)):
            accepted = f"{len(self.rows):,} accepted"
            raise CurrentsError(
                f"the books don't balance ({totals}; {accepted}); please report this", uri=self.file.uri
            )

    def as_json(self) -> dict[str, Any]:
        """The state as heads and pages of files store it. What is empty is left out."""
        file = self.file
        told = {
            "fate": self.fate,
            "rows": self.rows.as_json(),
            "account": self.account.as_json() if self.account else None,
            "reason": self.reason,
            "letters": self.letters,
            "settled_before": self.settled_before.as_json(),
            "deduplicated": self.deduplicated,
            "settings": self.settings,
        }
        place = {"bucket": file.bucket, "key": file.key, "etag": file.etag, "size": file.size, "number": self.number}
        return place | {name: value for name, value in told.items() if value}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> FileState:
        """The state that ``as_json`` gave."""
        return cls(
            SourceFile(raw["bucket"], raw["key"], raw["etag"], raw["size"]),
            raw["number"],
            raw["fate"],
            RowSet.from_json(raw.get("rows", ())),
            Account.from_json(raw["account"]) if "account" in raw else None,
            raw.get("reason", ""),
            tuple(raw.get("letters", ())),
            RowSet.from_json(raw.get("settled_before", ())),
            raw.get("deduplicated", 0),
            raw.get("settings", ""),
        )


def is_done(state: FileState | None) -> bool:
    """Whether a file has a state that says that it is done."""
    return state is not None and state.fate == "done"


@dataclass(frozen=True, slots=True)
class Head:
    """One version of the head of ``slice``.

    ``seq`` counts its versions and ``claim`` the claims; ``token`` is the claim's own, and ``nonce`` that of the swap.
    ``owner`` names the task that has the slice, None if none has. ``files`` has the state of each file by its id; the
    ids in ``paged`` are those whose state lies in ``file_pages``. ``ids`` are accepted ids that lie in no page.
    ``begun`` is False until the first claim has taken over what is known of the slice from elsewhere: before, the head
    says who has the slice, and nothing else.
    """

    slice: Slice
    seq: int = 0
    claim: int = 0
    token: str = ""
    nonce: str = ""
    owner: str | None = None
    files: Mapping[str, FileState] = field(default_factory=dict)
    paged: frozenset[str] = frozenset()
    file_pages: tuple[str, ...] = ()
    id_pages: tuple[str, ...] = ()
    ids: Ids = field(default_factory=no_ids)
    begun: bool = True

    @property
    def pages(self) -> frozenset[str]:
        """The names of all pages that it names."""
        letters = (name for state in self.files.values() for name in state.letters)
        return frozenset((*self.file_pages, *self.id_pages, *letters))

    @property
    def next_number(self) -> int:
        """The number of the next file."""
        return max((state.number for state in self.files.values()), default=-1) + 1

    def with_states(self, states: Iterable[FileState]) -> Head:
        """The head with other states of some files."""
        told = {state.file.id: state for state in states}
        return replace(self, files={**self.files, **told}, paged=self.paged - told.keys())

    def inline(self) -> list[FileState]:
        """The states of files that lie in no page."""
        return [state for file_id, state in self.files.items() if file_id not in self.paged]

    def as_bytes(self) -> bytes:
        """The head as it is stored."""
        return orjson.dumps(
            {
                "format": FORMAT,
                "slice": [*self.slice],
                "seq": self.seq,
                "claim": self.claim,
                "token": self.token,
                "nonce": self.nonce,
                "owner": self.owner,
                "begun": self.begun,
                "files": [state.as_json() for state in self.inline()],
                "file_pages": self.file_pages,
                "id_pages": self.id_pages,
                "ids": b64encode(self.ids.astype("<u8").tobytes()).decode(),
            }
        )


def parse_head(body: bytes, uri: str) -> Head:
    """The head that ``as_bytes`` gave, without the states of files that lie in pages; ``uri`` is its place.

    Raises SetupError if a newer version of this project wrote it, or if it is damaged.
    """
    return parsed(body, uri, _head)


def _head(raw: Mapping[str, Any]) -> Head:
    states = [FileState.from_json(each) for each in raw["files"]]
    return Head(
        Slice(*raw["slice"]),
        raw["seq"],
        raw["claim"],
        raw["token"],
        raw["nonce"],
        raw["owner"],
        {state.file.id: state for state in states},
        frozenset(),
        tuple(raw["file_pages"]),
        tuple(raw["id_pages"]),
        np.frombuffer(b64decode(raw["ids"]), "<u8").reshape(-1, 3),
        raw["begun"],
    )
