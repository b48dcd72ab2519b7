from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from shutil import _ntuple_diskusage
from threading import Event
from typing import IO, Any

import pytest

from currents_aws.memory import MemoryObjects
from currents_core import disk_room
from currents_core.books.ledger import LEASE_SECONDS, Held
from currents_core.delivering import fetch as fetch_module
from currents_core.delivering.fetch import Fetcher
from currents_core.delivering.open_slice import OpenSlice
from currents_core.delivering.take import Taker
from currents_core.errors import StoppedError, TransientError
from currents_core.file_key import Slice, SourceFile, by_slice
from tests.tools.house import OPEN, PURCHASE, House, table


class Counted(MemoryObjects):
    """A bucket that counts what is being downloaded or was."""

    def __init__(self, bucket: str) -> None:
        super().__init__(bucket)
        self.begun: list[str] = []
        self.go = Event()
        self.go.set()

    def download(self, key: str, etag: str | None, into: IO[bytes]) -> None:
        self.begun.append(key)
        self.go.wait(10)
        super().download(key, etag, into)


def fetcher(house: House, check: Callable[[], None] = lambda: None) -> Fetcher:
    return Fetcher(
        source=house.source,
        taker=Taker(house.source, house.ledger, "me", house.crew),
        crew=house.crew,
        taken=lambda opened: None,
        meanwhile=lambda seconds: None,
        check=check,
    )


def put(house: House, count: int) -> list[SourceFile]:
    house.source = Counted("braze")
    return [house.put(OPEN, f"{number}.parquet", table([f"{number}"])) for number in range(count)]


def walk(house: House, files: Sequence[SourceFile]) -> list[int]:
    """How many downloads had begun when each file came."""
    assert isinstance(house.source, Counted)
    begun = []
    with closing(fetcher(house).fetch(by_slice(files).items())) as fetched:
        for _, file, body in fetched:
            if file:
                assert body is not None
                body.close()
                begun.append(len(house.source.begun))
    return begun


def test_a_few_files_are_fetched_ahead() -> None:
    house = House()
    files = put(house, 20)
    begun = walk(house, files)
    assert begun[-1] == 20
    assert all(count <= number + 9 for number, count in enumerate(begun, 1))


def test_files_come_while_the_next_slice_is_still_being_taken() -> None:
    house = House()
    files = put(house, 3)
    slow = house.put(PURCHASE, "slow.parquet", table(["slow"]))
    one, came = fetcher(house), Event()

    class Slow(Taker):
        def take(self, place: Slice, files: Sequence[SourceFile]) -> OpenSlice | Held:
            assert place != slow.slice or came.wait(10), "the files before it waited for it"
            return super().take(place, files)

    one.taker = Slow(house.source, house.ledger, "me", house.crew)
    keys = []
    with closing(one.fetch([(files[0].slice, files), (slow.slice, [slow])])) as fetched:
        for _, file, body in fetched:
            if file and body:
                body.close()
                keys.append(file.file.key)
                came.set()
    assert keys == [each.key for each in (*files, slow)]


def test_large_files_are_fetched_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    files = put(house, 5)
    monkeypatch.setattr(fetch_module, "_AHEAD_BYTES", files[0].size)
    assert walk(house, files) == [1, 2, 3, 4, 5]


def test_a_file_that_has_no_room_on_the_disk_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    [file] = put(house, 1)
    free = file.size + disk_room.RESERVE
    monkeypatch.setattr(disk_room, "disk_usage", lambda folder: _ntuple_diskusage(10**12, 0, free))
    assert walk(house, [file]) == [1]
    free -= 1
    monkeypatch.setattr(disk_room, "disk_usage", lambda folder: _ntuple_diskusage(10**12, 0, free))
    other = House()
    [file] = put(other, 1)
    with pytest.raises(TransientError, match=rf"{file.key}: no room for its [0-9,]+ bytes in /.*, which has [0-9,]+"):
        walk(other, [file])


def test_a_file_that_failed_ahead_of_its_turn_is_fetched_again_when_it_is_its_turn() -> None:
    house = House()
    files = put(house, 6)
    failing, first = {file.key for file in files[1:4]}, files[0].key

    class Failing(Counted):
        def download(self, key: str, etag: str | None, into: IO[bytes]) -> None:
            if key in failing:
                raise TransientError("no room")
            super().download(key, etag, into)

    source = Failing("braze")
    source.contents = house.source.contents
    house.source = source
    with closing(fetcher(house).fetch(by_slice(files).items())) as fetched:
        keys = []
        for _, file, body in fetched:
            if file and body:
                keys.append(file.file.key)
                body.close()
                if file.file.key == first:
                    # What was wrong has passed.
                    failing.clear()
    assert keys == [file.key for file in files]


def test_a_download_ends_when_the_work_is_to_end() -> None:
    house = House()
    [file] = put(house, 1)

    told: list[StoppedError] = []

    def check() -> None:
        for error in told:
            raise error

    class Slow(MemoryObjects):
        def download(self, key: str, etag: str | None, into: IO[bytes]) -> None:
            into.write(b"the first part")
            told.append(StoppedError("told to stop"))
            while True:
                into.write(b"more")

    house.source = Slow("braze", house.source.contents)
    with pytest.raises(StoppedError), closing(fetcher(house, check).fetch(by_slice([file]).items())) as fetched:
        next(fetched)


def test_who_waits_for_a_slice_stops_once_nobody_waits_for_it_any_more() -> None:
    class Timeout(BaseException):
        """What Airflow ends a task with, among others."""

    house = House()
    [file] = put(house, 1)
    house.ledger.claim(file.slice, "another task")
    one = fetcher(house)

    def late(_: float) -> None:
        raise Timeout

    # In the time of the house, the other one is alive, and would be waited for until patience ends.
    house.crew.meanwhile = lambda: house.ledger.claim(file.slice, "another task")
    one.meanwhile = late
    with pytest.raises(Timeout), closing(one.fetch([(file.slice, [file])], "until through")) as fetched:
        next(fetched)
    assert house.crew.slept < 10


def held_by_another(house: House, count: int) -> list[tuple[Slice, list[SourceFile]]]:
    """Slices with a file each, the first of which another task has, and whose claim ends while others are taken."""
    house.source = Counted("braze")
    kinds = [OPEN, *(f"users.custom.Type{number}" for number in range(count - 1))]
    files = [house.put(kind, "a.parquet", table([kind])) for kind in kinds]
    house.ledger.claim(files[0].slice, "another task")
    return [(file.slice, [file]) for file in files]


def taken(house: House, work: list[tuple[Slice, list[SourceFile]]], meanwhile: Callable[[int], object]) -> list[Slice]:
    """The slices in the order in which their files came; ``meanwhile`` is called with the number of each file."""
    order = []
    with closing(fetcher(house).fetch(work)) as fetched:
        for opened, file, body in fetched:
            if file and body:
                body.close()
                order.append(opened.place)
                meanwhile(len(order))
    return order


def test_a_slice_whose_task_died_is_taken_as_soon_as_its_claim_ends_and_not_after_all_others() -> None:
    house = House()
    work = held_by_another(house, 60)

    def pass_by(number: int) -> None:
        if number == 10:
            house.crew.slept += LEASE_SECONDS + 3

    order = taken(house, work, pass_by)
    assert set(order) == {place for place, _ in work}
    # What was fetched ahead by then comes first.
    assert 10 <= order.index(work[0][0]) < 35


def test_a_slice_whose_task_is_alive_is_asked_for_once_more_and_left_to_it() -> None:
    house = House()
    work = held_by_another(house, 60)
    asked: list[Slice] = []
    real = house.ledger.claim

    def claim(place: Slice, owner: str, *, is_new: bool = False) -> Any:
        asked.append(place)
        return real(place, owner, is_new=is_new)

    def pass_by(number: int) -> None:
        if number in (10, 40):
            house.crew.slept += LEASE_SECONDS + 3
            # It has shown that it is alive.
            stored = house.state.contents[house.ledger.layout.head(work[0][0])]
            house.state.write(house.ledger.layout.head(work[0][0]), stored)

    house.ledger.claim = claim  # type: ignore[method-assign]
    order = taken(house, work, pass_by)
    assert work[0][0] not in order
    assert len(order) == 59
    assert asked.count(work[0][0]) == 2
