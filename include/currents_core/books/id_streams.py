"""Pages of ids that are merged, or parted again, a part at a time, with other fingerprints and other numbers of files.

Fingerprints of a type differ from those that know no type by a mask. It turns the order of the hashes about, but not
what shares their first bits: so each part of the result is made from one part of each source.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO

import numpy as np
import numpy.typing as npt

from currents_core.books.id_pages import IdPage, Ids, page_of, sorted_ids, type_mask
from currents_core.file_key import Slice

_HASH_BITS, _ROW_BITS = 64, 32
# Ids of a part, and of a page of a day: 1.6 GB, as one object takes 5 GB.
_PART_IDS, PAGE_IDS = 1 << 20, 1 << 26


@dataclass(frozen=True)
class Source:
    """A page of ids to take from.

    ``mask`` is what its fingerprints are changed by, and ``shift`` is added to the numbers of its files. Of these only
    those ``within`` some bounds are taken, and none within the bounds ``without``; all bounds are those of files.
    """

    page: IdPage
    mask: npt.NDArray[np.uint64]
    shift: int = 0
    within: tuple[int, int] | None = None
    without: Sequence[tuple[int, int]] = ()

    def part(self, number: int, bits: int) -> Ids:
        """The ids whose changed hashes begin with these ``bits`` bits."""
        start, stop = self._bounds(number ^ (int(self.mask[0]) >> (_HASH_BITS - bits)), bits)
        ids = np.array(self.page.columns[:, start:stop]).T
        if self.within:
            ids = ids[_is_within(ids[:, 2], self.within)]
        for each in self.without:
            ids = ids[~_is_within(ids[:, 2], each)]
        places = ids[:, 2] + np.uint64((self.shift << _ROW_BITS) % (1 << _HASH_BITS))
        return np.column_stack((ids[:, :2] ^ self.mask, places))

    def _bounds(self, number: int, bits: int) -> tuple[int, int]:
        hashes, width = self.page.columns[0], _HASH_BITS - bits
        last = (number + 1) << width
        start = int(np.searchsorted(hashes, np.uint64(number << width)))
        return start, len(hashes) if last >> _HASH_BITS else int(np.searchsorted(hashes, np.uint64(last)))


def _is_within(places: npt.NDArray[np.uint64], bounds: tuple[int, int]) -> npt.NDArray[np.bool_]:
    numbers = places >> np.uint64(_ROW_BITS)
    return np.asarray((numbers >= bounds[0]) & (numbers < bounds[1]))


def mask_of(place: Slice) -> npt.NDArray[np.uint64]:
    """What the fingerprints of a slice differ by from those of its day.

    Where no key names a type, fingerprints keep the type of their row.
    """
    return np.zeros(2, np.uint64) if place.event_type is None else type_mask(place.event_type)


def merged(sources: Sequence[Source]) -> Iterator[Ids]:
    """The ids of all sources in the order of a page, part by part: a power of two of parts with equal ranges."""
    bits = _bits(sum(len(source.page) for source in sources), _PART_IDS)
    for number in range(1 << bits):
        yield sorted_ids(source.part(number, bits) for source in sources)


def write_page(parts: Iterable[Ids], into: IO[bytes]) -> int:
    """Writes a page with the ids of parts that are in its order. Returns their number."""
    count = 0
    with TemporaryFile() as checks, TemporaryFile() as places:
        columns = (into, checks, places)
        for part in parts:
            for number, column in enumerate(columns):
                column.write(part[:, number].astype("<u8").tobytes())
            count += len(part)
        for column in columns[1:]:
            column.seek(0)
            shutil.copyfileobj(column, into, 1 << 20)
    into.seek(0)
    return count


def written_pages(sources: Sequence[Source]) -> Iterator[tuple[IO[bytes], int]]:
    """The bodies of the pages with the ids of all sources, each with an equal range of hashes, and their numbers.

    There are as few as PAGE_IDS allows; each is closed when the next is asked for.
    """
    count = sum(len(source.page) for source in sources)
    pages = 1 << _bits(count, PAGE_IDS)
    parts, each = merged(sources), max(1, (1 << _bits(count, _PART_IDS)) // pages)
    for _ in range(pages if count else 0):
        with TemporaryFile() as body:
            yield body, write_page((part for _, part in zip(range(each), parts, strict=False)), body)


def mapped(ids: Ids) -> IdPage:
    """Ids in the order of a page as a page that is mapped from disk."""
    with TemporaryFile() as body:
        body.write(page_of(ids))
        body.flush()
        return IdPage(body)


def _bits(count: int, most: int) -> int:
    """How many bits part ``count`` ids into parts of about ``most``."""
    return max(0, -(-count // most) - 1).bit_length()
