"""Compacted days: what a run, a late file, a redrive and a search find is what they found before."""

from __future__ import annotations

from collections import Counter
from shutil import _ntuple_diskusage
from threading import Lock
from typing import Any

import pytest

from currents_aws.memory import MemoryObjects
from currents_core import disk_room
from currents_core.books import days as days_module
from currents_core.books import id_streams
from currents_core.books.account import Counts
from currents_core.books.claim import Claim
from currents_core.books.compact import QUIET_SECONDS, Compaction, days_by_the_hour
from currents_core.books.day_search import find
from currents_core.books.days import Days
from currents_core.books.head import FileState, Head
from currents_core.books.index import Index
from currents_core.books.layout import Layout, is_head, page_name
from currents_core.books.ledger import Held
from currents_core.books.manifest import reconcile
from currents_core.books.manifests import Manifests
from currents_core.books.pages import PageMissingError
from currents_core.disk_room import NoRoomError
from currents_core.errors import CurrentsError, FencedError, SetupError, TransientError
from currents_core.file_key import Slice
from currents_core.finding.discover import look, with_letters
from currents_core.finding.plan import Plans
from currents_core.ports import SENT, Invalid, Version
from currents_core.setup.run_request import RunRequest
from tests.tools.house import HOUR, NOW, OPEN, PURCHASE, House, table
from tests.tools.manifests import write_manifest

DATE, LATER = HOUR[:10], "2026-11-23-17"
NEXT_DAY = "2026-11-24-00"
REFUSED = {"r1", "r2"}


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days_module, "INLINE_IDS", 2)
    monkeypatch.setattr(id_streams, "_PART_IDS", 4)
    monkeypatch.setattr(id_streams, "PAGE_IDS", 16)


class Day(House):
    """A house whose day has two hours, three slices in each, letters, duplicates and a damaged file."""

    def __init__(self, state: MemoryObjects | None = None) -> None:
        super().__init__()
        if state:
            self.keep_state_in(state)
        self.refused = set(REFUSED)
        self.target.answer = lambda entry: Invalid("no", "no") if self.is_refused(entry.detail) else SENT
        self.files = []
        for hour in (HOUR, LATER):
            for event_type in (OPEN, PURCHASE):
                ids = [f"{event_type[-4:]}{hour[-2:]}-{number}" for number in range(9)]
                self.files += [
                    self.put(event_type, "a.parquet", table([*ids[:5], "r1"]), hour),
                    self.put(event_type, "b.parquet", table([*ids[4:], "r2", "r1"]), hour),
                ]
            mixed = table(["n1", "n2", "n1"], event_type=[OPEN, OPEN, PURCHASE])
            self.files.append(self.put(None, "mixed.parquet", mixed, hour))
        self.deliver(*self.files)
        self.manifests = Manifests(self.state, Layout(), self.crew)
        for hour in (HOUR, LATER):
            write_manifest(self.manifests, hour, self.ledger, NOW)
        self.crew.slept += 2 * QUIET_SECONDS

    def is_refused(self, detail: str) -> bool:
        return any(f'"id":"{each}"' in detail for each in self.refused)

    @property
    def compaction(self) -> Compaction:
        return Compaction(self.state, Layout(), self.crew)

    def compact(self) -> None:
        """Compacts the day, and begins with a ledger that knows nothing of what was before."""
        assert self.compaction.compact(DATE)
        self.keep_state_in(self.state)

    def left(self) -> list[str]:
        return [key for key in self.state.contents if not key.startswith("days/")]

    def told(self) -> dict[str, Any]:
        return {hour: reconcile("test", hour, [], self.ledger).as_json(NOW) for hour in (HOUR, LATER)}


def known(state: FileState) -> tuple[Any, ...]:
    """What is known of a file, but for where its letters lie."""
    return state.fate, state.rows.ranges, state.account, state.number, bool(state.letters)


def test_a_day_becomes_a_few_objects() -> None:
    house = Day()
    before = {key for key in house.state.contents if is_head(key)}
    assert len(before) == 6
    house.compact()
    assert house.left() == []
    kinds = Counter(key.rpartition(".")[2] for key in house.state.contents)
    assert kinds == {"gz": 1, "files": 1, "letters": 1, "manifests": 1, "ids": 4}
    assert len(house.state.contents) <= 20


def test_what_a_run_planned_outlasts_the_compaction_of_its_day() -> None:
    house = Day()
    plans = Plans(house.state, Layout())
    key = plans.write(HOUR, {"waits": "for approval"})
    house.crew.slept += 2 * QUIET_SECONDS
    for _ in range(2):
        house.compact()
    assert plans.read(key) == {"waits": "for approval"}


def test_a_day_for_which_the_disk_has_no_room_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    house = Day()
    before = dict(house.state.contents)
    pages = sum(len(body) for key, body in before.items() if key.startswith("slices/") and not is_head(key))
    free = disk_room.RESERVE + 3 * pages
    monkeypatch.setattr(disk_room, "disk_usage", lambda folder: _ntuple_diskusage(10**12, 0, free - 1))
    with pytest.raises(TransientError, match=rf"s3://state/days/date={DATE}/: no room for its {3 * pages:,} bytes"):
        house.compaction.compact(DATE)
    assert house.state.contents == before
    monkeypatch.setattr(disk_room, "disk_usage", lambda folder: _ntuple_diskusage(10**12, 0, free))
    house.compact()


@pytest.mark.parametrize("fault", [SetupError("it is damaged"), NoRoomError("it has no room")])
def test_a_day_that_is_damaged_or_too_large_keeps_no_later_one_from_being_compacted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: CurrentsError
) -> None:
    house, compact = Day(), Compaction.compact
    house.deliver(house.put(OPEN, "a", table(["x"]), NEXT_DAY))
    house.crew.slept += 2 * QUIET_SECONDS

    def damaged(compaction: Compaction, date: str) -> bool:
        if date == DATE:
            raise fault
        return compact(compaction, date)

    monkeypatch.setattr(Compaction, "compact", damaged)
    assert house.compaction.compact_next(before="2026-11-26-00") == NEXT_DAY[:10]
    assert f"the state of {DATE} can't be compacted: {fault}" in caplog.text


def test_who_asks_for_an_hour_finds_what_was_there_before() -> None:
    house = Day()
    told, states, letters = house.told(), house.states(), house.letters()
    manifests = {hour: house.manifests.read(hour) for hour in (HOUR, LATER)}
    redrivable = with_letters(house.ledger, [HOUR, LATER], lambda _: True)
    house.compact()
    assert house.told() == told
    assert house.letters() == letters
    assert {key: known(each) for key, each in house.states().items()} == {
        key: known(each) for key, each in states.items()
    }
    assert {hour: house.manifests.read(hour) for hour in (HOUR, LATER)} == manifests
    assert with_letters(house.ledger, [HOUR, LATER], lambda _: True) == redrivable
    assert look(house.connector, house.source, house.ledger, RunRequest((HOUR, LATER)), Index()).work == {}
    assert house.deliver(*house.files) == Counts()


@pytest.mark.parametrize("times", [1, 2])
def test_late_files_are_held_against_the_ids_of_their_slice_alone(times: int) -> None:
    house = Day()
    house.compact()
    sent = house.ids()
    for number in range(times):
        late = house.put(
            OPEN, f"late{number}.parquet", table(["Open08-0", "Open08-8", "Open17-0", f"new{number}", "r1"])
        )
        told = house.deliver(late)
        assert told == Counts(read=5, sent=2 - min(number, 1), duplicate=2 + min(number, 1), dead_lettered=1)
        house.crew.slept += 2 * QUIET_SECONDS
        house.compact()
        assert house.left() == []
    new = {"Open17-0": 1, **{f"new{number}": 1 for number in range(times)}}
    assert house.ids() - sent == new
    mixed = house.put(None, "late.parquet", table(["n1", "n2", "n3"], event_type=[PURCHASE, PURCHASE, OPEN]))
    assert house.deliver(mixed) == Counts(read=3, sent=2, duplicate=1)


def test_letters_of_a_compacted_day_are_sent_again() -> None:
    house = Day()
    house.compact()
    before = house.account().totals
    house.refused = {"r2"}
    assert house.redrive(lambda letter: True) == Counts(read=4, sent=2, dead_lettered=2)
    assert house.ids()["r1"] == 2
    house.crew.slept += 2 * QUIET_SECONDS
    house.compact()
    after = house.account().totals
    assert (after.sent - before.sent, before.dead_lettered - after.dead_lettered) == (2, 2)
    assert sorted(each["entry"]["detail"].count('"r2"') for each in house.letters()) == [1, 1]


def test_the_index_tells_a_day_by_hour_and_event_type() -> None:
    house = Day()
    damaged = house.put(PURCHASE, "damaged.parquet", b"no Parquet", LATER)
    with pytest.raises(Exception, match="can't be read"):
        house.deliver(damaged)
    house.crew.slept += 2 * QUIET_SECONDS
    house.compact()
    day, _ = Days(house.state, Layout(), house.crew).version(DATE)
    told = {place: (each.complete, each.files, each.counts) for place, each in day.slices.items()}
    assert told[Slice(HOUR, OPEN)] == (True, 2, {OPEN: Counts(read=13, sent=9, duplicate=2, dead_lettered=2)})
    assert told[Slice(LATER, PURCHASE)][:2] == (False, 3)
    assert told[Slice(HOUR, None)][2].keys() == {OPEN, PURCHASE}
    assert day.slices[Slice(HOUR, OPEN)].lag == pytest.approx(0, abs=5), "it went when the hour ended"
    assert day.slices[Slice(LATER, PURCHASE)].lag == pytest.approx(2 * QUIET_SECONDS - 9 * 3600, abs=5)


def test_an_id_is_found_without_knowing_its_slice() -> None:
    house = Day()
    house.compact()
    days = Days(house.state, Layout(), house.crew)
    day, _ = days.version(DATE)
    [(place, number, row)] = find(house.state, Layout(), day, "hase17-6")
    assert place == Slice(LATER, PURCHASE)
    [state] = [state for state in house.states(LATER).values() if state.number == number and state.file.slice == place]
    assert (state.file.key.rpartition("/")[2], row) == ("b.parquet", 2)
    assert sorted((each[0].hour, each[2]) for each in find(house.state, Layout(), day, "n1")) == [
        (HOUR, 0),
        (HOUR, 2),
        (LATER, 0),
        (LATER, 2),
    ], "an id of two event types"
    assert find(house.state, Layout(), day, "nothing") == []
    assert find(house.state, Layout(), days.version("2026-11-22")[0], "n1") == []


def test_only_days_that_left_the_window_and_are_quiet_are_compacted() -> None:
    house = Day()
    assert days_by_the_hour(house.state, Layout(), f"{DATE}-23") == []
    assert house.compaction.compact_next(f"{DATE}-23") is None
    late = house.put(OPEN, "late.parquet", table(["new"]))
    house.deliver(late)
    assert house.compaction.compact_next(NEXT_DAY) is None, "something has just changed"
    house.crew.slept += 2 * QUIET_SECONDS
    assert house.compaction.compact_next(NEXT_DAY) == DATE
    assert house.compaction.compact_next(NEXT_DAY) is None


def test_a_day_is_neither_compacted_nor_looked_for_before_it_is_long_over() -> None:
    house = Day()
    slept = house.crew.slept
    house.crew.slept = 15 * 3600
    house.state.write(Layout().day_index(DATE), b"nobody must read this")
    assert house.deliver(house.put(OPEN, "late.parquet", table(["new"]))).sent == 1
    assert len(house.ledger.heads(HOUR)) == 3
    assert Compaction(house.state, Layout(), house.crew, quiet=-1.0).compact_next(NEXT_DAY) is None
    house.state.delete(Layout().day_index(DATE))
    house.crew.slept = slept
    assert house.compaction.compact_next(NEXT_DAY) == DATE


def test_a_slice_that_was_claimed_meanwhile_stays_with_its_task_and_is_taken_in_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house, claims = Day(), list[Claim]()
    place = Slice(HOUR, OPEN)
    written = Compaction._write

    def late(compaction: Compaction, *given: Any) -> None:
        written(compaction, *given)
        claim = house.ledger.claim(place, "a task")
        assert isinstance(claim, Claim)
        claims.append(claim)

    monkeypatch.setattr(Compaction, "_write", late)
    assert house.compaction.compact(DATE)
    assert {key.rpartition("/")[0] for key in house.left()} == {Layout().slice(place).rstrip("/")}
    claims[0].swap(release=True)
    monkeypatch.setattr(Compaction, "_write", written)
    house.crew.slept += 2 * QUIET_SECONDS
    house.compact()
    assert house.left() == []
    assert len(house.letters()) == 4


def test_a_task_that_was_asleep_can_not_write_to_a_slice_that_was_compacted() -> None:
    house = Day()
    claim = house.ledger.claim(Slice(HOUR, OPEN), "asleep")
    assert isinstance(claim, Claim)
    house.crew.slept += 2 * QUIET_SECONDS
    house.compact()
    with pytest.raises(FencedError):
        claim.swap()
    assert house.left() == []


class Stopping(MemoryObjects):
    """A bucket that fails one of the calls that change it, and all after it."""

    left = 1_000_000
    counting = Lock()

    def _count(self) -> None:
        with self.counting:
            self.left -= 1
            if self.left < 0:
                raise TransientError("stopped")

    def write(self, key: str, body: bytes) -> None:
        self._count()
        super().write(key, body)

    def delete(self, key: str) -> None:
        self._count()
        super().delete(key)


@pytest.mark.parametrize("calls", range(20))
def test_wherever_it_stops_the_books_are_right_and_the_next_one_ends_it(calls: int) -> None:
    house = Day(state := Stopping("state"))
    told, letters = house.told(), house.letters()
    state.left = calls
    with pytest.raises(TransientError):
        house.compaction.compact(DATE)
    state.left = 1_000_000
    house.keep_state_in(state)
    assert house.told() == told
    assert house.letters() == letters
    late = house.put(OPEN, "late.parquet", table(["Open08-0", "new"]))
    assert house.deliver(late) == Counts(read=2, sent=1, duplicate=1)
    house.crew.slept += 2 * QUIET_SECONDS
    house.compact()
    assert house.left() == []
    assert len(state.contents) == 8


def test_an_answer_that_is_lost_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Losing(MemoryObjects):
        def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
            etag = super().write_version(key, body, replaces)
            if key.startswith("days/"):
                raise TransientError("no answer")
            return etag

    house = Day(Losing("state"))
    house.compact()
    assert house.left() == []


def test_of_two_at_once_one_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    house = Day()
    written = Compaction._write

    def second(compaction: Compaction, *given: Any) -> None:
        monkeypatch.setattr(Compaction, "_write", written)
        assert house.compaction.compact(DATE)
        written(compaction, *given)

    monkeypatch.setattr(Compaction, "_write", second)
    assert not house.compaction.compact(DATE)
    told = house.told()
    house.keep_state_in(house.state)
    assert house.told() == told
    assert house.left() == []


def test_one_that_was_asleep_leaves_the_pages_that_another_is_about_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    house = Day()
    cleared = Compaction._clear
    asleep: list[tuple[Any, ...]] = []
    monkeypatch.setattr(Compaction, "_clear", lambda _, *given: asleep.append(given))
    assert house.compaction.compact(DATE)
    monkeypatch.setattr(Compaction, "_clear", cleared)
    house.deliver(house.put(OPEN, "late.parquet", table(["new"])))
    house.crew.slept += 2 * QUIET_SECONDS
    written = Compaction._write

    def wakes_up(compaction: Compaction, *given: Any) -> None:
        compaction._clear(*asleep[0])
        written(compaction, *given)

    monkeypatch.setattr(Compaction, "_write", wakes_up)
    told = house.told()
    house.compact()
    assert house.told() == told
    assert house.left() == []


def test_what_a_claim_left_that_never_began_goes_and_says_nothing() -> None:
    house = Day()
    house.compact()
    told = house.told()
    assert isinstance(house.ledger.claim(Slice(HOUR, OPEN), "killed"), Claim)
    house.state.write(f"{Layout().slice(Slice(HOUR, PURCHASE))}{page_name(3, 'a', 1, 'ids')}", b"left over")
    house.crew.slept += 2 * QUIET_SECONDS
    before = house.state.contents[Layout().day_index(DATE)]
    house.compact()
    assert house.left() == []
    assert house.told() == told
    assert house.state.contents[Layout().day_index(DATE)] == before, "nothing new was there to take in"


def test_a_page_that_is_missing_is_a_fault() -> None:
    house = Day()
    [*pages] = [key for key in house.state.contents if key.endswith(".letters")]
    house.state.delete(pages[0])
    with pytest.raises(PageMissingError):
        house.compaction.compact(DATE)


def test_a_page_that_the_index_of_a_day_still_names_and_that_is_missing_is_a_fault() -> None:
    class Asked(MemoryObjects):
        """A bucket whose indexes are not asked for again and again."""

        looks = 0

        def read_version(self, key: str) -> Version | None:
            self.looks += 1
            assert self.looks <= 2, "the same index names the same pages"
            return super().read_version(key)

    house = Day()
    house.compact()
    page = next(key for key in house.state.contents if key.endswith(".files"))
    left = {key: body for key, body in house.state.contents.items() if key != page}
    with pytest.raises(PageMissingError, match=page):
        Days(Asked("state", left), Layout(), house.crew).heads(HOUR)


def test_a_day_that_is_compacted_again_while_it_is_looked_at_is_looked_at_again_however_often() -> None:
    house = Day()
    house.compact()
    left = [0, 1]

    class Restless(MemoryObjects):
        """A bucket in which the day is compacted anew as soon as its index was read."""

        def read_version(self, key: str) -> Version | None:
            found = super().read_version(key)
            if key == Layout().day_index(DATE) and left:
                number = left.pop()
                house.deliver(house.put(OPEN, f"late {number}.parquet", table([f"late {number}"])))
                house.crew.slept += 2 * QUIET_SECONDS
                house.compact()
            return found

    restless = Restless("state", house.state.contents)
    restless.clock = house.state.clock
    heads = Days(restless, Layout(), house.crew).heads(HOUR)
    assert not left
    assert heads.keys() == Days(house.state, Layout(), house.crew).heads(HOUR).keys()
    assert {state.file.key.rpartition("/")[2] for state in heads[Slice(HOUR, OPEN)].files.values()} == {
        "a.parquet",
        "b.parquet",
        "late 0.parquet",
        "late 1.parquet",
    }


def test_a_late_manifest_wins_until_it_is_taken_in() -> None:
    house = Day()
    house.compact()
    late = house.put(OPEN, "late.parquet", table(["new"]))
    house.deliver(late)
    write_manifest(house.manifests, HOUR, house.ledger, NOW)
    told = house.manifests.read(HOUR)
    assert told
    assert told["totals"]["sent"] == reconcile("test", HOUR, [], house.ledger).account.totals.sent
    house.crew.slept += 2 * QUIET_SECONDS
    house.compact()
    assert house.manifests.read(HOUR) == told
    assert house.manifests.read("2026-11-20-00") is None


def test_an_announced_hour_is_not_announced_again_by_a_rerun_over_its_compacted_day() -> None:
    house = Day()
    assert write_manifest(house.manifests, HOUR, house.ledger, NOW, announce=True)
    house.manifests.announced(reconcile("test", HOUR, [], house.ledger), NOW)
    house.crew.slept += 2 * QUIET_SECONDS
    house.compact()
    assert not write_manifest(house.manifests, HOUR, house.ledger, NOW, announce=True)


def test_a_slice_is_held_as_any_other_once_its_day_is_compacted() -> None:
    house = Day()
    house.compact()
    place = Slice(HOUR, OPEN)
    claim = house.ledger.claim(place, "first")
    assert isinstance(claim, Claim)
    assert house.ledger.claim(place, "second") == Held("first", 60)
    claim.swap(release=True)
    head = house.ledger.head(place)
    assert isinstance(head, Head)
    assert (head.begun, len(head.files), len(head.id_pages)) == (True, 2, 1)
