"""The ledger: the heads of the slices of a connector, read by anybody, and replaced by the task that claimed them.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from secrets import token_hex
from typing import TypeVar

from currents_core.books.claim import Claim
from currents_core.books.days import Days
from currents_core.books.earlier import Earlier
from currents_core.books.head import Head, parse_head
from currents_core.books.layout import Layout, is_head
from currents_core.books.pages import PageMissingError, Pages
from currents_core.books.retention import is_kept, require_kept
from currents_core.crew import Crew, Threads
from currents_core.errors import TransientError
from currents_core.file_key import Slice
from currents_core.ports import ObjectStore, Version

Found = TypeVar("Found")

# A task that works on a slice replaces its head twice a second. One that has not done so for a minute is gone.
LEASE_SECONDS = 60.0
# How often a claim that got no answer, and has not arrived, is tried.
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Held:
    """Another task, ``owner``, has the slice, and has ``seconds`` left to show that it is alive.

    ``sign`` is its last sign of life: a later one is another.
    """

    owner: str
    seconds: float
    sign: str = field(default="", compare=False)


class Ledger:
    """The ledger of one connector: what ``store`` has under keys of ``layout``.

    ``lease`` is how long a claim lasts without a sign of life, in seconds. ``token`` gives a name that was never used
    before. Of hours before ``first_date`` nothing is kept, and whoever asks for one is refused with a SetupError.
    """

    def __init__(
        self,
        store: ObjectStore,
        layout: Layout,
        *,
        lease: float = LEASE_SECONDS,
        crew: Crew | None = None,
        token: Callable[[], str] = lambda: token_hex(6),
        first_date: str = "",
    ) -> None:
        self.store = store
        self.layout = layout
        self._lease = lease
        self.crew = crew or Threads()
        self._token = token
        self._first_date = first_date
        self._days = Days(store, layout, self.crew)
        self._earlier = Earlier(store, layout, self.crew)

    def keeps(self, hour: str) -> bool:
        """Whether state of an hour is kept, or would be if there were any: its day has not ended."""
        return is_kept(hour, self._first_date)

    def heads(self, hour: str) -> list[Head]:
        """The heads of an hour, with the states of all files.

        A slice that nobody claimed since its day was compacted, or an earlier version was at it, has the head that a
        claim would begin with.
        """
        require_kept(hour, self._first_date)
        reads = [self.crew.start(self._read, key) for key in self._heads(hour)]
        found = {head.slice: head for head in (read.result() for read in reads) if head}
        # Only now, since the day says what a head said before that goes.
        known = self._known(hour)
        begun = {place: head for place, head in found.items() if head.begun}
        return list({**found, **known, **begun}.values())

    def heads_of(self, places: Iterable[Slice]) -> list[Head]:
        """The heads of these slices, as ``heads`` gives them; of those that have one."""
        asked = list(places)
        for place in asked:
            require_kept(place.hour, self._first_date)
        reads = [(place, self.crew.start(self._read, self.layout.head(place))) for place in asked]
        found = {place: read.result() for place, read in reads}
        # Only now: what is known from elsewhere is read by the same crew, and nobody would be left for it.
        rest = [place for place, head in found.items() if not (head and head.begun)]
        for hour in {place.hour for place in rest}:
            known = self._known(hour)
            found |= {place: known[place] for place in rest if place in known}
        return [head for head in found.values() if head]

    def head(self, place: Slice) -> Head | None:
        """The head of a slice as ``heads`` gives it; None if there is none."""
        require_kept(place.hour, self._first_date)
        head = self._read(self.layout.head(place))
        if head and head.begun:
            return head
        return self._days.head(place) or self._earlier.heads(place.hour).get(place, head)

    def look(self, head: Head, look: Callable[[Head], Found]) -> Found:
        """What ``look`` finds in a head and its pages, without a claim.

        It is asked anew where it raises PageMissingError, and the slice has other pages by now: whoever finishes a
        slice merges its pages. Raises PageMissingError if a page is lost.
        """
        while True:
            try:
                return look(head)
            except PageMissingError:
                now = self.head(head.slice)
                if not now or now.pages == head.pages:
                    raise
                head = now

    def claim(self, place: Slice, owner: str, *, is_new: bool = False) -> Claim | Held:
        """Claims a slice for ``owner``, if nobody has it or who had it has shown no sign of life for long enough.

        That is judged by the store's clock alone. The first claim takes over what is known of the slice from elsewhere,
        and does so once it has the slice: what it looked at before could have changed in the meantime. ``is_new`` only
        spares looking for a head: there was none, and most likely there is none. Raises TransientError if the store
        gave no clear answer.
        """
        require_kept(place.hour, self._first_date)
        key = self.layout.head(place)
        stored = None if is_new else self.store.read_version(key)
        before = self._parsed(stored, place) if stored else Head(place, begun=False)
        if not before.begun and (holder := self._earlier.holder(place.hour)):
            return Held(*holder)
        if stored and before.owner is not None and stored.age <= self._lease:
            return Held(before.owner, self._lease - stored.age, stored.etag)
        began = self.crew.seconds()
        new = replace(
            before,
            seq=before.seq + 1,
            claim=before.claim + 1,
            token=self._token(),
            nonce=self._token(),
            owner=owner,
        )
        etag = self._taken(place, new, stored.etag if stored else None)
        if etag is None:
            if stored:
                return Held("another task", self._lease)
            # Somebody has begun the slice in the meantime.
            return self.claim(place, owner)
        claim = Claim(self.store, key, self.pages(place), new, etag, began, self.crew.seconds, self._token)
        with claim.kept():
            if before.begun:
                claim.open()
            else:
                claim.begin(self._known_of(place, claim))
            if before.owner is not None:
                claim.pages.sweep(claim.head)
        return claim

    def pages(self, place: Slice) -> Pages:
        """The pages of a slice."""
        return Pages(self.store, self.layout, place)

    def _known(self, hour: str) -> Mapping[Slice, Head]:
        """What is known from elsewhere of slices of an hour that nobody has begun."""
        return {**self._earlier.heads(hour), **self._days.heads(hour)}

    def _known_of(self, place: Slice, claim: Claim) -> Head:
        """What is known from elsewhere of a slice that was claimed for the first time."""
        known = self._days.taken_over(place, claim.pages, claim.new_page)
        return known or self._earlier.taken_over(place, claim.pages, claim.new_page)

    def _heads(self, hour: str) -> list[str]:
        return [each.key for each in self.store.objects(self.layout.slices(hour)) if is_head(each.key)]

    def _taken(self, place: Slice, new: Head, replaces: str | None) -> str | None:
        """The ETag of the head that makes the claim; None if another task was first."""
        key, body, attempts = self.layout.head(place), new.as_bytes(), count(1)
        while True:
            try:
                return self.store.write_version(key, body, replaces)
            except TransientError:
                stored = self.store.read_version(key)
                if stored and self._parsed(stored, place).nonce == new.nonce:
                    return stored.etag
                if (stored.etag if stored else None) != replaces:
                    return None
                # It may arrive late, but then so does what is written now: it is the same.
                if next(attempts) == _ATTEMPTS:
                    raise

    def _read(self, key: str) -> Head | None:
        etag = ""
        while stored := self.store.read_version(key):
            head = parse_head(stored.body, self._uri(key))
            try:
                return self.pages(head.slice).with_files(head)
            except PageMissingError:
                # Its pages may have been merged in the meantime; then another head names others.
                if stored.etag == etag:
                    raise
                etag = stored.etag
        return None

    def _parsed(self, stored: Version, place: Slice) -> Head:
        return parse_head(stored.body, self._uri(self.layout.head(place)))

    def _uri(self, key: str) -> str:
        return f"s3://{self.store.bucket}/{key}"
