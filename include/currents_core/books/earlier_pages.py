"""Takes over the letters and the ids of a slice from the state of the first format; see ``earlier``."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from tempfile import TemporaryFile

import numpy as np
import orjson
import pyarrow as pa

from currents_core.books.dead_letter import Letter, letters_of, row_of, write_letters
from currents_core.books.head import INLINE_IDS, FileState, Head
from currents_core.books.id_pages import (
    Fingerprints,
    IdPage,
    Ids,
    contains,
    fingerprints,
    for_type,
    merge_pages,
    no_ids,
    page_of,
    placed,
    sorted_ids,
)
from currents_core.books.layout import Layout
from currents_core.books.pages import NewPage, Pages, with_small_states
from currents_core.books.row_set import RowSet
from currents_core.crew import Crew, Job
from currents_core.ports import ObjectStore

# Objects with ids that are read ahead of their turn, and ids that are sorted in memory.
_AHEAD = 8
_IN_MEMORY = 1 << 20


def with_pages(head: Head, store: ObjectStore, layout: Layout, pages: Pages, *, crew: Crew, new_page: NewPage) -> Head:
    """The head with the letters and ids of its files in pages of its slice, which are written.

    Raises PageMissingError if letters that it names are gone.
    """
    waiting = _Waiting()
    taken = _with_letters(head, pages, new_page("letters"), waiting)
    taken = _with_ids(taken, _ids(taken, store, layout, crew, waiting), pages, new_page("ids"))
    return with_small_states(taken, pages, new_page)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """The rows that have letters, by file id, and the ids of those that were tried, by file id and event type."""

    rows: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    ids: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, state: FileState, letter: Letter) -> None:
        """Adds a letter of a file."""
        self.rows[state.file.id].append(row_of(letter))
        if (found := _id_of(letter)) is not None:
            self.ids[state.file.id, letter["event_type"]].append(found)

    def without(self, state: FileState, prints: Fingerprints, event_type: str) -> Fingerprints:
        """The fingerprints that a file brought, without those of rows that have letters.

        Earlier versions took the id of every row that they tried to send for one that went.
        """
        texts = self.ids.get((state.file.id, event_type))
        if not texts:
            return prints
        found = sorted_ids([placed(fingerprints(pa.array(texts, pa.string()), event_type), 0, [0] * len(texts))])
        return prints[~contains(found[:, 0], found[:, 1], prints)]


def _id_of(letter: Letter) -> str | None:
    """The id of a row that was tried, or that may have been: an id that counts as accepted would never be sent."""
    if letter["entry"]:
        return str(orjson.loads(letter["entry"]["detail"])["id"])
    found = letter["record"].get("id")
    return found if letter["attempts"] and isinstance(found, str) else None


def _with_letters(head: Head, pages: Pages, name: str, waiting: _Waiting) -> Head:
    """The head with all its letters in one page, which is written. Rows that have letters are not settled."""
    named = [state for state in head.files.values() if state.letters]

    def letters() -> Iterator[Letter]:
        for state, letter in letters_of(pages, named):
            waiting.add(state, letter)
            yield letter

    write_letters(pages, name, letters())
    return head.with_states(_without(state, waiting.rows[state.file.id], name) for state in named)


def _without(state: FileState, rows: Sequence[int], name: str) -> FileState:
    """The state of a file that is done, whose ``rows`` have letters in a page called ``name``."""
    if not rows:
        return replace(state, letters=())
    waiting = RowSet()
    waiting.add_rows(sorted(rows))
    ends = [0, *(end for each in waiting.ranges for end in each), *(stop for _, stop in state.settled_before.ranges)]
    return replace(state, letters=(name,), settled_before=RowSet(zip(ends[::2], ends[1::2], strict=True)))


def _with_ids(head: Head, found: Iterable[Ids], pages: Pages, name: str) -> Head:
    """The head with ids: in itself, or in a page if there are many."""
    on_disk: list[IdPage] = []
    held: list[Ids] = []
    for ids in found:
        held.append(ids)
        if sum(map(len, held)) >= _IN_MEMORY:
            on_disk.append(_mapped(held))
            held = []
    if not on_disk and sum(map(len, held)) <= INLINE_IDS:
        return replace(head, ids=sorted_ids(held))
    with TemporaryFile() as body:
        merge_pages([*on_disk, _mapped(held)], body)
        body.seek(0)
        pages.upload(name, body)
    return replace(head, ids=no_ids(), id_pages=(name,))


def _mapped(ids: Sequence[Ids]) -> IdPage:
    with TemporaryFile() as body:
        body.write(page_of(sorted_ids(ids)))
        return IdPage(body)


def _ids(head: Head, store: ObjectStore, layout: Layout, crew: Crew, waiting: _Waiting) -> Iterator[Ids]:
    """The accepted ids of files that are done, a file and event type at a time. Their rows are not known."""
    wanted = (
        (state, event_type)
        for state in head.files.values()
        for event_type in (state.account.event_types if state.account else ())
    )
    jobs = deque[tuple[FileState, str, Job[bytes | None]]]()
    is_last = False
    while jobs or not is_last:
        while not is_last and len(jobs) < _AHEAD:
            if each := next(wanted, None):
                jobs.append((*each, crew.start(store.read, layout.earlier_ids(each[0].file, each[1]))))
            else:
                is_last = True
        if jobs:
            state, event_type, job = jobs.popleft()
            # There are none if no row of this type was tried.
            plain = np.frombuffer(job.result() or b"", "<u8").reshape(-1, 2).astype(np.uint64)
            prints = waiting.without(state, for_type(plain, event_type), event_type)
            yield placed(prints, state.number, np.zeros(len(prints), np.uint64))
