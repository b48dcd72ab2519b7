"""The pages of a slice: what grows. A page never changes, and counts once a head names it."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from tempfile import TemporaryFile
from typing import IO

import orjson

from currents_core.books.head import INLINE_BYTES, FileState, Head
from currents_core.books.id_pages import IdPage
from currents_core.books.layout import Layout, PageKind, claim_of_page
from currents_core.books.sections import copy_section, parse_name
from currents_core.errors import FileError, SetupError
from currents_core.file_key import Slice
from currents_core.ports import ObjectStore

# Gives a name for a page that nobody used or will use.
NewPage = Callable[[PageKind], str]


class PageMissingError(SetupError):
    """A page that a head names is not there: the head that was read is old, or somebody removed the page."""


class Pages:
    """The pages of one slice."""

    def __init__(self, store: ObjectStore, layout: Layout, place: Slice) -> None:
        self._store = store
        self._layout = layout
        self._place = place

    def write(self, name: str, body: bytes) -> None:
        """Writes a page. Its name is its writer's own, so that writing it again changes nothing."""
        self._store.write(self._key(name), body)

    def copy(self, name: str, source: str) -> None:
        """Writes a page that is a copy of another, or of a section. Raises PageMissingError."""
        with self.content(source) as body:
            self.upload(name, body)

    def upload(self, name: str, body: IO[bytes]) -> None:
        """Writes a page from an open file, as ``write`` does."""
        self._store.upload(self._key(name), body)

    def ids(self, names: Iterable[str]) -> list[IdPage]:
        """Pages of ids, mapped from disk. Raises PageMissingError."""
        return [self._mapped(name) for name in names]

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of JSON in a page of letters or of states of files. Raises PageMissingError."""
        with self.content(name) as body, gzip.GzipFile(fileobj=body) as lines:
            yield from lines

    def with_files(self, head: Head) -> Head:
        """The head with the states of files that lie in its pages. Raises PageMissingError."""
        if not head.file_pages:
            return head
        paged = {
            state.file.id: state
            for name in head.file_pages
            for state in (FileState.from_json(orjson.loads(line)) for line in self.lines(name))
        }
        return replace(head, files={**paged, **head.files}, paged=frozenset(paged.keys() - head.files.keys()))

    def sweep(self, head: Head) -> None:
        """Removes what earlier claims left behind, such as pages that their tasks could not name any more."""
        listed = [each.key for each in self._store.objects(self._layout.slice(self._place))]
        named = {self._key(name) for name in head.pages}
        for key in listed:
            claim = claim_of_page(key)
            if claim is not None and claim < head.claim and key not in named:
                self._store.delete(key)

    def remove(self, names: Iterable[str]) -> None:
        """Removes pages that no head names any more."""
        for name in names:
            self._store.delete(self._key(name))

    def content(self, name: str) -> IO[bytes]:
        """The content of a page, on disk, which the caller closes. Raises PageMissingError."""
        page, section = parse_name(name)
        key = self._key(page)
        body = TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            if section:
                copy_section(self._store, key, section, body)
            else:
                self._store.download(key, None, body)
        except FileError as error:
            body.close()
            raise PageMissingError(
                "this part of the state is missing; restore the object, or the connector's whole state",
                uri=error.uri,
                code=error.code,
            ) from error
        body.seek(0)
        return body

    def _mapped(self, name: str) -> IdPage:
        # A slice may have many pages, and a process only so many open files.
        with self.content(name) as body:
            return IdPage(body)

    def _key(self, name: str) -> str:
        return self._layout.page(self._place, name)


def lines_of(rows: Iterable[object]) -> bytes:
    """The body of a page of lines of JSON: gzipped. The same rows give the same bytes."""
    return gzip.compress(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows), mtime=0)


def with_small_states(head: Head, pages: Pages, new_page: NewPage) -> Head:
    """The head, with the states of files that are no longer open in a page if there are many."""
    inline = head.inline()
    if sum(map(_weight, inline)) <= INLINE_BYTES:
        return head
    return with_paged_states(head, [state for state in inline if state.fate != "open"], pages, new_page)


def with_paged_states(head: Head, states: Sequence[FileState], pages: Pages, new_page: NewPage) -> Head:
    """The head, with these states of files in another page."""
    if not states:
        return head
    name = new_page("files")
    pages.write(name, lines_of(state.as_json() for state in states))
    paged = head.paged | {state.file.id for state in states}
    return replace(head, paged=paged, file_pages=(*head.file_pages, name))


def _weight(state: FileState) -> int:
    """About the bytes of JSON that the state of a file takes."""
    account = 250 + 150 * len(state.account.event_types) if state.account else 0
    ranges = len(state.rows.ranges) + len(state.settled_before.ranges)
    return 300 + len(state.file.key) + len(state.reason) + account + 16 * ranges
