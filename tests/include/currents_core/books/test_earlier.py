"""State of the first format is taken over.

`earlier_state/state.json` was written by the last version with that format, which ran for it: for each scenario, the
source and the state afterwards (text, or base64 of what is none), the ids that the destination accepted, and what the
manifests said. `done`: a slice with letters, duplicates and a filtered row, and others beside it. `half-way`: a file
whose delivery ended in an outage, after one that was done and before one that was only begun. `killed`: a lease that
was not given back. `failed`: a damaged file, and one that failed after four rows had gone. `redriven`: an hour whose
letters were sent again, but one. `unnamed`: a file of several event types by its column.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from currents_aws.dry_run import Overlay
from currents_aws.memory import MemoryObjects, MemoryTarget
from currents_core import crew
from currents_core.books import earlier_pages, pages
from currents_core.books.account import Counts
from currents_core.books.claim import Claim
from currents_core.books.dead_letter import Letter, letters_of
from currents_core.books.id_pages import fingerprints, for_type
from currents_core.books.index import Index
from currents_core.books.layout import Layout
from currents_core.books.ledger import LEASE_SECONDS, Held, Ledger
from currents_core.books.manifest import reconcile
from currents_core.errors import DeliveryError, SetupError
from currents_core.file_key import Slice, SourceFile, by_slice
from currents_core.finding.discover import look
from currents_core.ports import Invalid, StoredObject, Version
from currents_core.setup.run_request import RunRequest
from tests.tools.house import HOUR, NOW, OPEN, PURCHASE, House, finish, table

SCENARIOS: dict[str, Any] = json.loads((Path(__file__).parent / "earlier_state" / "state.json").read_text("utf-8"))
BEFORE = "2026-11-23-07"
LONG = "é" * 60


def body_of(text: str) -> bytes:
    return b64decode(text.removeprefix("base64:")) if text.startswith("base64:") else text.encode()


class Counting(MemoryObjects):
    """A bucket that notes which keys are read, and which prefixes are listed how far."""

    def __init__(self, contents: dict[str, bytes] | None = None) -> None:
        super().__init__("state", contents)
        self.read_keys: list[str] = []
        self.listed: Counter[str] = Counter()

    def read(self, key: str) -> bytes | None:
        self.read_keys.append(key)
        return super().read(key)

    def read_version(self, key: str) -> Version | None:
        self.read_keys.append(key)
        return super().read_version(key)

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        self.listed[prefix] += 0
        for each in super().objects(prefix):
            self.listed[prefix] += 1
            yield each


class Before(House):
    """A house as an earlier version left it. ``accepted`` are the ids that had gone by then."""

    def __init__(self, name: str, state: MemoryObjects | None = None, **settings: Any) -> None:
        self.told = SCENARIOS[name]
        super().__init__(**(self.told["settings"] | settings))
        for key, text in self.told["source"].items():
            self.source.write(key, body_of(text))
        self.keep_state_in(state or MemoryObjects("state"))
        self.state.contents |= {key: body_of(text) for key, text in self.told["state"].items()}
        self.accepted = Counter[str](self.told["accepted"])

    @property
    def files(self) -> list[SourceFile]:
        return [
            SourceFile("braze", key, self.source.etag(key), len(body)) for key, body in self.source.contents.items()
        ]

    def file(self, name: str, event_type: str | None = OPEN, hour: str = HOUR) -> SourceFile:
        folder = f"event_type={event_type}/" if event_type else ""
        return next(file for file in self.files if file.key == f"in/{folder}date={hour}/{name}.parquet")

    def restarted(self) -> None:
        """Forgets what the ledger remembers."""
        self.keep_state_in(self.state)

    def totals(self, hour: str = HOUR) -> Counts:
        totals = self.account(hour).totals
        assert totals.balanced
        return totals


def claimed(house: House, place: Slice) -> Claim:
    claim = house.ledger.claim(place, "a test")
    assert isinstance(claim, Claim)
    return claim


def held(house: House, place: Slice) -> tuple[str, float]:
    """Who has a slice, and for how many seconds more, to the nearest ten."""
    found = house.ledger.claim(place, "a test")
    assert isinstance(found, Held)
    return found.owner, round(found.seconds, -1)


@pytest.mark.parametrize("name", SCENARIOS)
def test_manifests_say_what_they_said_before_anything_was_claimed_and_afterwards(name: str) -> None:
    house = Before(name)
    house.crew.slept = 100

    def said() -> dict[str, Any]:
        return {hour: reconcile("test", hour, [], house.ledger).as_json(NOW) for hour in house.told["told"]}

    before = said()
    for hour, told in house.told["told"].items():
        # Files of which some rows were sent were not told of then, unless the run was to deliver them.
        left = {state.file.key for state in house.states(hour).values() if state.fate == "open"}
        files = before[hour]["files"]
        assert files["open"].keys() == told["files"]["open"].keys() | left
        assert {part: before[hour][part] for part in told} == told | {"files": files}
    for hour in house.told["told"]:
        for head in house.ledger.heads(hour):
            assert (head.seq, head.claim, head.owner) == (0, 0, None)
            claimed(house, head.slice).swap(release=True)
    house.restarted()
    assert said() == before


def found(house: Before, hour: str) -> Mapping[Slice, Sequence[SourceFile]]:
    return look(house.connector, house.source, house.ledger, RunRequest((hour,)), Index()).work


@pytest.mark.parametrize("name", ["done", "redriven", "unnamed"])
def test_nothing_that_was_done_is_sent_again(name: str) -> None:
    house = Before(name)
    for hour in house.told["told"]:
        assert found(house, hour) == {}
    assert house.deliver(*house.files) == Counts()
    assert house.ids() == {}


def test_late_files_are_held_against_the_ids_of_before() -> None:
    house = Before("done")
    late = house.put(OPEN, "late.parquet", table(["x", "new", "z", "r1"], country=["US"] * 4))
    assert found(house, HOUR) == {late.slice: [late]}
    assert house.deliver(late) == Counts(read=4, sent=2, duplicate=2)
    assert house.ids() == {"new": 1, "r1": 1}, "r1 was refused, so it never went"
    assert house.redrive() == Counts(read=4, sent=2, duplicate=1, dead_lettered=1)
    assert house.ids() == {"new": 1, "r1": 2, "r2": 1}, "r1 once for each event type"
    assert house.totals() == Counts(read=16, sent=8, duplicate=6, filtered=1, dead_lettered=1)


def test_late_files_of_several_types_are_held_against_the_ids_of_their_types() -> None:
    house = Before("unnamed")
    late = house.put(
        None, "late.parquet", table(["n1", "n1", "n1", "n3", "n3"], event_type=[OPEN, PURCHASE, LONG, LONG, OPEN])
    )
    assert house.deliver(late) == Counts(read=5, sent=2, duplicate=3)
    assert house.ids() == {"n1": 1, "n3": 1}


def test_a_file_half_way_ends_right() -> None:
    house = Before("half-way")
    work = found(house, HOUR)
    half, begun = house.file("b"), house.file("c")
    assert work == {half.slice: [half, begun]}
    assert house.deliver(*work[half.slice]) == Counts(read=44, sent=21, duplicate=2, filtered=20, dead_lettered=1)
    assert house.ids().keys().isdisjoint(house.accepted)
    everything = {"d1", "d2", "c1", *(f"h{number}" for number in range(0, 40, 2))}
    assert house.ids() + house.accepted == Counter(everything)
    assert house.totals() == Counts(read=46, sent=23, duplicate=2, filtered=20, dead_lettered=1)
    state = house.states()[half.id]
    assert (state.fate, len(state.rows)) == ("done", 20)
    late = house.put(OPEN, "late.parquet", table(["h0", "h38"], country=["US"] * 2))
    assert house.deliver(late) == Counts(read=2, duplicate=2), "and what went before the upgrade has its ids now"


def test_a_file_half_way_that_is_gone_is_no_longer_open() -> None:
    house = Before("half-way")
    half = house.file("b")
    house.source.delete(half.key)
    assert half.slice in found(house, HOUR)
    house.deliver(house.file("c"))
    assert house.states()[half.id].fate == "gone"
    assert house.ids() == {"c1": 1}


def test_who_is_at_files_of_an_hour_has_it_until_its_lease_runs_out() -> None:
    house = Before("killed")
    file = house.file("a")
    other = house.put(PURCHASE, "a.parquet", table(["x"]))
    assert held(house, file.slice) == ("a killed task", 60)
    assert held(house, other.slice) == ("a killed task", 60)
    another_hour = house.put(PURCHASE, "a.parquet", table(["x"]), hour=BEFORE)
    assert isinstance(house.ledger.claim(another_hour.slice, "a test"), Claim)
    assert house.deliver(file) == Counts(read=300, sent=300)
    assert house.crew.slept >= 59
    went = house.ids() + house.accepted
    assert went.keys() == {f"k{number}" for number in range(300)}
    assert house.ids().keys().isdisjoint({f"k{number}" for number in range(80)})
    assert went.total() - len(went) <= len(house.accepted) - 80, "only what went after its last checkpoint goes twice"


def test_files_of_earlier_hours_are_left_to_it_only_while_it_is_alive() -> None:
    house = Before("killed")
    file = house.file("a")
    key = f"ledger/date={HOUR}/leases/{file.id}.json"

    def renew() -> None:
        lease = json.loads(house.state.contents[key])
        house.state.write(key, json.dumps(lease | {"signs": house.crew.slept}).encode())

    house.crew.meanwhile = renew
    assert house.delivery(waits=False).deliver(by_slice([file])).totals == Counts()
    house.crew.meanwhile = lambda: None
    assert house.delivery(waits=False).deliver(by_slice([file])).totals == Counts(read=300, sent=300)


def test_what_it_did_in_the_meantime_counts() -> None:
    house, other = Before("killed"), Before("done")
    file = house.file("a")
    assert held(house, file.slice) == ("a killed task", 60)
    # It renews its lease.
    house.crew.slept = 50
    key = f"ledger/date={HOUR}/leases/{file.id}.json"
    house.state.write(key, house.state.contents[key])
    house.crew.slept = 100
    assert held(house, file.slice) == ("a killed task", 10)
    # Then the file is done.
    done = json.loads(other.state.contents[f"ledger/date={HOUR}/done/{other.file('a').id}.json"])
    done["file"] = json.loads(house.state.contents[key])["file"]
    house.state.write(f"ledger/date={HOUR}/done/{file.id}.json", json.dumps(done).encode())
    house.crew.slept = 111
    assert claimed(house, file.slice).head.files[file.id].fate == "done"


def test_a_file_that_failed_is_tried_again_by_its_own_hour() -> None:
    house = Before("failed")
    damaged, partly = house.file("a"), house.file("b")
    later = RunRequest(("2026-11-23-09",), past=(HOUR,))
    index = Index(first="2026-01-01-00")
    assert look(house.connector, house.source, house.ledger, later, index).work == {}
    work = found(house, HOUR)
    assert work == {partly.slice: [damaged, partly]}
    with pytest.raises(DeliveryError, match=r"1 file can't be read.*a\.parquet: not a readable Parquet file"):
        house.deliver(*work[partly.slice])
    assert house.ids() == {f"p{number}": 1 for number in range(4, 10)}
    assert house.totals() == Counts(read=11, sent=11)
    assert {file.id: house.states()[file.id].fate for file in (damaged, partly)} == {
        damaged.id: "failed",
        partly.id: "done",
    }


def test_letters_of_before_are_sent_again() -> None:
    house = Before("redriven")
    [head] = house.ledger.heads(HOUR)
    assert [each["origin"]["row"] for each in house.letters()] == [1, 2, 5]
    assert all(state.letters for state in head.files.values())
    assert house.redrive() == Counts(read=3, sent=2, dead_lettered=1)
    assert house.ids() == {"c": 1, "e": 1}
    assert house.totals() == Counts(read=6, sent=4, duplicate=1, dead_lettered=1)
    [left] = house.letters()
    assert (left["code"], left["attempts"]) == ("no_id", 2)
    assert house.redrive() == Counts(read=1, dead_lettered=1)
    late = house.put(OPEN, "late.parquet", table(["a", "c", "d", "e"]))
    assert house.deliver(late) == Counts(read=4, duplicate=4)


def test_letters_that_are_refused_again_stay_with_their_tries_added() -> None:
    house = Before("done")
    before = {(each["origin"]["key"], each["origin"]["row"]): each["attempts"] for each in house.letters()}

    def is_purchase(letter: Letter) -> bool:
        return bool(letter["event_type"] == PURCHASE)

    assert house.redrive(is_purchase) == Counts(read=1, sent=1)
    house.target = MemoryTarget(answer=lambda _: Invalid("MalformedDetail", "no"))
    assert house.redrive() == Counts(read=3, dead_lettered=3)
    after = {(each["origin"]["key"], each["origin"]["row"]): each["attempts"] for each in house.letters()}
    assert {place: after[place] - before[place] for place in after} == dict.fromkeys(after, 1)
    assert len(after) == 3
    assert house.totals() == Counts(read=12, sent=5, duplicate=3, filtered=1, dead_lettered=3)


def test_a_row_that_was_too_large_to_be_tried_is_no_duplicate_of_itself() -> None:
    house = Before("done")
    key = f"dead_letters/date={HOUR}/{house.file('b').id}.jsonl.gz"
    [letter] = [json.loads(line) for line in gzip.decompress(house.state.contents[key]).splitlines()]
    letter |= {"code": "oversized", "attempts": 0}
    house.state.write(key, gzip.compress(json.dumps(letter).encode()))
    assert house.redrive(lambda letter: letter["code"] == "oversized") == Counts(read=1, sent=1)
    assert house.ids() == {"r2": 1}


def test_an_id_that_went_stays_known_where_a_row_that_was_never_tried_has_it_as_well() -> None:
    house = Before("done")
    key = f"dead_letters/date={HOUR}/{house.file('a').id}.jsonl.gz"
    letters = [json.loads(line) for line in gzip.decompress(house.state.contents[key]).splitlines()]
    [untried] = [letter for letter in letters if not letter["attempts"]]
    untried |= {"code": "oversized", "record": untried["record"] | {"id": "x"}}
    house.state.write(key, gzip.compress(b"\n".join(json.dumps(each).encode() for each in letters)))
    late = house.put(OPEN, "late.parquet", table(["x"], country=["US"]))
    assert house.deliver(late) == Counts(read=1, duplicate=1)


def test_a_crash_before_the_swap_that_follows_the_claim_leaves_all_as_it_was() -> None:
    house = Before("done")
    place = house.file("a").slice
    for _ in range(2):
        claimed(house, place)
        written = [key for key in house.state.contents if key.endswith(".letters")]
        assert len(written) == 1, "what the one before left is swept"
        house.crew.slept += LEASE_SECONDS + 1
        house.restarted()
        assert house.totals() == Counts(**house.told["told"][HOUR]["totals"])
    claimed(house, place).swap(release=True)
    assert len([key for key in house.state.contents if key.endswith(".letters")]) == 1, "and then no page is left over"
    assert house.redrive() == Counts(read=4, sent=3, dead_lettered=1)
    assert house.ids() == {"r1": 2, "r2": 1}


class Late(MemoryObjects):
    """A bucket in which another task claims each slice just before."""

    def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
        if replaces is None:
            other = json.loads(body) | {"nonce": "another", "token": "another", "owner": "first"}
            self.contents[key] = json.dumps(other).encode()
        return super().write_version(key, body, replaces)


def test_who_comes_second_leaves_no_pages() -> None:
    house = Before("done", Late("state"))
    place = house.file("a").slice
    assert house.ledger.claim(place, "a test") == Held("first", 60)
    assert [key for key in house.state.contents if key.startswith("slices/")] == [Layout().head(place)]


def test_a_slice_that_has_a_head_is_never_taken_over_again() -> None:
    house = Before("done")
    place = house.file("a").slice
    finish(claimed(house, place), [], [])
    for key in house.told["state"]:
        if key.startswith(("dead_letters", "ids")):
            house.state.delete(key)
    house.restarted()
    again = claimed(house, place)
    assert again.head.claim == 2
    again.swap(release=True)
    assert house.deliver(house.put(OPEN, "late.parquet", table(["x"], country=["US"]))) == Counts(read=1, duplicate=1)
    [kept] = [head for head in house.ledger.heads(HOUR) if head.slice == place]
    found = letters_of(house.ledger.pages(place), kept.files.values())
    assert len(list(found)) == 3


def test_what_was_written_before_is_only_read() -> None:
    house = Before("done")
    before = dict(house.state.contents)
    house.redrive()
    house.deliver(*house.files)
    assert {key: house.state.contents.get(key) for key in before} == before


def test_a_dry_run_takes_over_what_was_written_before_and_leaves_no_trace() -> None:
    house = Before("done")
    house.source.write(f"in/event_type={OPEN}/date={HOUR}/late.parquet", house.source.contents[house.file("b").key])
    before = dict(house.state.contents)
    dry = house.delivery(ledger=Ledger(Overlay(house.state), Layout(), crew=house.crew))
    assert dry.deliver(by_slice(house.files)).totals == Counts(read=4, sent=2, duplicate=2)
    assert house.state.contents == before


def test_without_state_of_before_one_listing_is_all_that_it_costs() -> None:
    store = Counting()
    ledger = Ledger(store, Layout("export/demo/"))
    for hour in (HOUR, BEFORE):
        assert ledger.heads(hour) == []
        for event_type in (OPEN, PURCHASE):
            assert isinstance(ledger.claim(Slice(hour, event_type), "a test"), Claim)
    before = [prefix for prefix in store.listed if "/slices/" not in prefix]
    assert before == ["export/demo/ledger/"]


def test_only_hours_with_state_of_before_are_read_and_once_for_all_slices() -> None:
    store = Counting()
    house = Before("done", store)
    assert house.ledger.heads("2026-11-22-00") == []
    assert store.read_keys == []
    assert (store.listed["ledger/"], store.listed["ledger/date=2026-11-22-00/"]) == (1, 0)
    house.ledger.heads(HOUR)
    for event_type in (OPEN, PURCHASE, "other"):
        assert isinstance(house.ledger.claim(Slice(HOUR, event_type), "a test"), Claim)
    records = Counter(key for key in store.read_keys if key.startswith("ledger/"))
    assert records == {key: 1 for key in house.told["state"] if key.startswith(f"ledger/date={HOUR}/done/")}
    assert all(BEFORE not in key for key in store.read_keys)


def test_many_states_and_ids_lie_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "INLINE_BYTES", 100)
    monkeypatch.setattr(earlier_pages, "INLINE_IDS", 1)
    monkeypatch.setattr(earlier_pages, "_IN_MEMORY", 2)
    house = Before("done")
    claim = claimed(house, house.file("a").slice)
    assert (len(claim.head.id_pages), len(claim.head.file_pages), len(claim.head.ids)) == (1, 1, 0)
    assert claim.head.paged == claim.head.files.keys()
    claim.swap(release=True)
    house.restarted()
    late = house.put(OPEN, "late.parquet", table(["x", "y", "z", "w"], country=["US"] * 4))
    assert house.deliver(late) == Counts(read=4, sent=1, duplicate=3)
    assert house.redrive(lambda letter: letter["event_type"] == OPEN) == Counts(read=3, sent=2, dead_lettered=1)


def test_an_id_of_before_is_the_id_of_now() -> None:
    house = Before("done")
    folder = f"ids/date={HOUR}/event_type={OPEN}/"
    body = house.state.contents[f"{folder}{house.file('a').id}"]
    plain = np.frombuffer(body, "<u8").reshape(-1, 2).astype(np.uint64)
    assert for_type(plain, OPEN).tolist() == fingerprints(pa.array(["x", "y", "r1"]), OPEN).tolist()


def test_damaged_state_of_before_is_named() -> None:
    house = Before("done")
    key = f"ledger/date={HOUR}/done/{house.file('a').id}.json"
    house.state.write(key, b"{}")
    with pytest.raises(SetupError, match=rf"s3://state/{key}: this state is damaged \(KeyError\)"):
        house.ledger.heads(HOUR)


@pytest.mark.timeout(60)
def test_many_slices_of_an_hour_are_asked_for_by_a_crew_that_has_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "MOST_THREADS", 2)
    house = Before("done")
    ledger = Ledger(house.state, Layout())
    places = [Slice(HOUR, event_type) for event_type in (OPEN, PURCHASE, "a", "b", "c")]
    found = {head.slice: head.files for head in ledger.heads_of(places)}
    assert found == {head.slice: head.files for head in ledger.heads(HOUR)}
    assert OPEN in {place.event_type for place in found}
