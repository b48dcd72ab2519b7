"""Sections: parts of a page that are read alone, by range. Each is a gzip file of lines, and so is the whole page."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from tempfile import TemporaryFile
from typing import IO, NamedTuple, Self

from currents_core.errors import FileError
from currents_core.ports import CHANGED, ObjectStore

# Bytes that are copied at a time.
_PART = 8 << 20


class Section(NamedTuple):
    """A part of a page, in bytes."""

    start: int
    size: int

    @property
    def stop(self) -> int:
        """Where it ends."""
        return self.start + self.size


class SectionedPage:
    """A page that is written section by section, on disk. A context manager, which removes it."""

    def __init__(self) -> None:
        self.body: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed on leaving

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.body.close()

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.body.seek(0, 2)

    def add(self, lines: Iterable[bytes]) -> Section | None:
        """Adds a section with these lines, unless there are none. The same lines give the same bytes."""
        start, is_empty = self.size, True
        with gzip.GzipFile("", "wb", fileobj=self.body, mtime=0) as into:
            for line in lines:
                into.write(line)
                is_empty = False
        if is_empty:
            self.body.truncate(start)
            return None
        return Section(start, self.size - start)

    def copy(self, source: IO[bytes], section: Section) -> Section:
        """Adds a section of another page as it is."""
        start = self.size
        source.seek(section.start)
        for size in _parts(section.size):
            self.body.write(source.read(size))
        return Section(start, section.size)


def section_name(page: str, section: Section) -> str:
    """The name of a section of a page."""
    return f"{page}@{section.start}+{section.size}"


def parse_name(name: str) -> tuple[str, Section | None]:
    """The page that a name stands for, and the section if it is the name of one."""
    found = re.fullmatch(r"(.*)@(\d+)\+(\d+)", name)
    return (found[1], Section(int(found[2]), int(found[3]))) if found else (name, None)


def copy_section(store: ObjectStore, key: str, section: Section, into: IO[bytes]) -> None:
    """Copies a section of an object into an open file. Raises FileError if the object is not there."""
    at = section.start
    for size in _parts(section.size):
        part = store.read_part(key, at, size)
        if part is None:
            raise FileError(CHANGED, uri=f"s3://{store.bucket}/{key}")
        into.write(part)
        at += size


def _parts(size: int) -> Iterable[int]:
    return (min(_PART, size - at) for at in range(0, size, _PART))
