"""A slice that a delivery has claimed: its files in the order in which they are read, until they are settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from currents_core.books.claim import Claim
from currents_core.books.head import FileState
from currents_core.books.seen_ids import SeenIds
from currents_core.delivering.open_file import OpenFile
from currents_core.file_key import Slice, SourceFile


@dataclass(eq=False)
class OpenSlice:
    """A claimed slice. ``seen`` has the ids that were accepted before, and those that came up in this delivery.

    ``todo`` are the files to deliver, and ``skipped`` those that were delivered before. ``gone`` are the states of
    files that are no longer there. ``saving`` is held by whoever replaces the head; ``is_late`` says that this failed,
    and ``settling`` has the pages of letters of the files that it was to settle, by file id.
    """

    claim: Claim
    seen: SeenIds
    saving: AbstractContextManager[Any]
    todo: list[OpenFile] = field(default_factory=list)
    skipped: list[SourceFile] = field(default_factory=list)
    gone: list[FileState] = field(default_factory=list)
    files: list[OpenFile] = field(default_factory=list)
    settling: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_settling: bool = False
    is_saving: bool = False
    is_late: bool = False
    _is_read: bool = False
    _lock: Lock = field(default_factory=Lock)

    @property
    def place(self) -> Slice:
        """The slice."""
        return self.claim.head.slice

    @property
    def waits(self) -> bool:
        """Whether entries are not answered, or answers not saved."""
        return any(opened.waits for opened in self.open_files())

    def begin_to_settle(self) -> bool:
        """Whether the caller may settle files now: nobody else is at it."""
        with self._lock:
            is_free = not self.is_settling
            self.is_settling = True
            return is_free

    def open_files(self) -> list[OpenFile]:
        """The files that are not settled."""
        with self._lock:
            return list(self.files)

    def add(self, opened: OpenFile) -> None:
        """Adds a file whose turn it is to be read."""
        with self._lock:
            self.files.append(opened)

    def end(self) -> bool:
        """Notes that no more files come. Returns whether all are through."""
        self._is_read = True
        return self.is_through

    @property
    def is_through(self) -> bool:
        """Whether every file is through."""
        return self._is_read and all(opened.is_through for opened in self.open_files())

    def through(self) -> list[OpenFile]:
        """The files that may be settled.

        A file waits for all that were read before it: one of its duplicates may have its original there, and is none
        before the original is answered.
        """
        found = []
        for opened in self.open_files():
            if not opened.is_through:
                break
            found.append(opened)
        return found

    def settled(self, files: Sequence[OpenFile]) -> None:
        """Removes the first files, which are settled."""
        with self._lock:
            del self.files[: len(files)]
