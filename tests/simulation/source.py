"""The source as it changes: objects come, are replaced, damaged, mended, removed, and put back as they were."""

from __future__ import annotations

from random import Random

from currents_core.file_key import SourceFile
from tests.simulation.files import HOUR, LIBRARY, body_of, is_damaged
from tests.simulation.oracle import Oracle
from tests.simulation.store import Bucket

_NAMES = "bdfhj"
# Names of files that come later, most of them before others in the order of the keys.
_LATE = "acegikz"


class Source:
    """The objects of a source. ``files`` has those that are there, by their keys."""

    def __init__(self, random: Random, bucket: Bucket, oracle: Oracle, types: list[str]) -> None:
        self.files: dict[str, SourceFile] = {}
        self._random = random
        self._bucket = bucket
        self._oracle = oracle
        self._types = types
        self._bodies: dict[tuple[str, str], list[bytes]] = {}
        for event_type in types:
            for name in random.sample(_NAMES, random.randint(1, 3)):
                self._put(event_type, name, self._body())

    def listed(self) -> list[SourceFile]:
        """The files that are there, in the order of their keys."""
        return [self.files[key] for key in sorted(self.files)]

    def body(self, file: SourceFile) -> bytes:
        """The content of a file that is there."""
        return self._bucket.objects.contents[file.key]

    def change(self) -> None:
        """Changes one object."""
        random = self._random
        event_type, name = place = random.choice(sorted(self._bodies))
        what = random.choice(("late", "replace", "replace", "remove", "restore", "restore"))
        if what == "late":
            self._put(random.choice(self._types), random.choice(_LATE), self._body())
        elif what == "replace":
            self._put(event_type, name, self._body())
        elif what == "restore":
            removed = [each for each in sorted(self._bodies) if _key(*each) not in self.files]
            event_type, name = place = random.choice(removed or [place])
            self._put(event_type, name, random.choice(self._bodies[place][-2:]))
        else:
            self._remove(_key(event_type, name))

    def mend(self) -> None:
        """Replaces damaged objects by what they were meant to be."""
        for file in self.listed():
            body = self.body(file)
            if is_damaged(body):
                self._put(file.event_type or "", file.key.rpartition("/")[2], body_of(int(body.split()[0])))

    def _body(self) -> bytes:
        book = self._random.randrange(len(LIBRARY))
        damaged_at = self._random.randrange(len(LIBRARY[book])) if self._random.random() < 0.15 else None
        return body_of(book, damaged_at)

    def _put(self, event_type: str, name: str, body: bytes) -> None:
        key, objects = _key(event_type, name), self._bucket.objects
        if objects.contents.get(key) == body:
            return
        self._remove(key)
        objects.write(key, body)
        self.files[key] = file = SourceFile("braze", key, objects.etag(key), len(body))
        self._bodies.setdefault((event_type, name), []).append(body)
        self._oracle.came(file, body)
        self._bucket.scheduler.tell(f"put {key} {body!r}, {file.id}")

    def _remove(self, key: str) -> None:
        if key in self.files:
            self._oracle.went(self.files.pop(key))
            self._bucket.objects.delete(key)
            self._bucket.scheduler.tell(f"remove {key}")


def _key(event_type: str, name: str) -> str:
    return f"in/event_type={event_type}/date={HOUR}/{name}"
