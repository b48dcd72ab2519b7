from __future__ import annotations

import errno
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Literal
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from currents_aws.memory import MemoryObjects, MemoryTarget
from currents_core.books.account import Account, Counts
from currents_core.books.claim import Claim
from currents_core.books.head import FileState, Head
from currents_core.books.id_pages import fingerprints, placed
from currents_core.books.ledger import LEASE_SECONDS
from currents_core.books.pages import PageMissingError
from currents_core.books.row_set import RowSet
from currents_core.books.seen_ids import SeenIds
from currents_core.delivering import deliver as deliver_module
from currents_core.delivering import prepare
from currents_core.delivering.open_file import OpenFile
from currents_core.delivering.prepare import Preparation
from currents_core.entry import Entry, Span, entry_size
from currents_core.errors import DeliveryError, FencedError, FileError, SetupError, TransientError
from currents_core.file_key import SourceFile, by_slice
from currents_core.limits import Limits
from currents_core.ports import Completion, Failed, Invalid, Result, Sent, Version
from currents_core.reading.read import Batch, Contents, read
from currents_core.setup.settings import PersonalDataRule
from currents_core.shaping.personal_data import PersonalData
from tests.tools.house import OPEN, PURCHASE, House, connector, table


def test_a_file_goes_out_as_entries_of_the_envelope_and_is_settled() -> None:
    house = House()
    file = house.put(PURCHASE, "a.parquet", table(["x"], properties=['{"a":1}']))
    assert house.deliver(file) == Counts(read=1, sent=1)
    [entry] = house.target.accepted
    assert (entry.source, entry.detail_type, entry.time) == ("braze.currents", PURCHASE, 0)
    assert entry.resource == f"arn:aws:s3:::braze/{file.key}"
    assert json.loads(entry.detail)["properties"] == {"purchase_properties": {"a": 1}}
    assert house.done() == {file.id}


def test_delivering_again_sends_nothing() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x", "y"]))
    house.deliver(file)
    assert house.deliver(file) == Counts()
    assert house.ids() == {"x": 1, "y": 1}


def test_a_changed_object_is_another_file() -> None:
    house = House()
    house.deliver(house.put(OPEN, "a.parquet", table(["x"])))
    assert house.deliver(house.put(OPEN, "a.parquet", table(["y"]))) == Counts(read=1, sent=1)


def test_the_same_id_goes_once_per_event_type_and_hour() -> None:
    house = House()
    files = [
        house.put(OPEN, "a.parquet", table(["x", "y", "x"])),
        house.put(OPEN, "b.parquet", table(["y", "z"])),
        house.put(PURCHASE, "a.parquet", table(["x"])),
        house.put(OPEN, "a.parquet", table(["x"]), hour="2026-11-23-07"),
    ]
    assert house.deliver(*files) == Counts(read=7, sent=5, duplicate=2)
    assert house.ids() == {"x": 3, "y": 1, "z": 1}


def test_a_late_file_is_held_against_what_was_delivered_before() -> None:
    house = House()
    house.deliver(house.put(OPEN, "a.parquet", table(["x", "y"])))
    late = house.put(OPEN, "b.parquet", table(["y", "z", "x"]))
    assert house.deliver(late) == Counts(read=3, sent=1, duplicate=2)
    other_hour = house.put(OPEN, "b.parquet", table(["x"]), hour="2026-11-23-07")
    assert house.deliver(other_hour) == Counts(read=1, sent=1)


def test_rows_that_meet_not_every_condition_are_counted_as_filtered_and_their_ids_are_still_free() -> None:
    house = House(filter=[{"field": "country", "in": ["US"]}])
    file = house.put(OPEN, "a.parquet", table(["x", "y", "x"], country=["DE", "US", "US"]))
    assert house.deliver(file) == Counts(read=3, sent=2, filtered=1)
    assert house.ids() == {"x": 1, "y": 1}


def test_broken_properties_are_kept_or_parked_as_the_connector_says() -> None:
    body = table(["x", "y"], properties=["[REDACTED]", "{}"])
    keeping, parking = House(), House(broken_properties="dead_letter")
    assert keeping.deliver(keeping.put(PURCHASE, "a.parquet", body)) == Counts(read=2, sent=2)
    file = parking.put(PURCHASE, "a.parquet", body)
    assert parking.deliver(file) == Counts(read=2, sent=1, dead_lettered=1)
    assert [each["code"] for each in parking.letters(file)] == ["broken_properties"]


def test_personal_data_is_in_no_event_no_dead_letter_and_no_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    limits = Limits(entries_per_request=10, bytes_per_request=700, bytes_per_entry=700)
    house = House(MemoryTarget(limits))
    house.personal_data = PersonalData(
        [PersonalDataRule.model_validate({"action": "redact", "catalog": True, "pointers": ["/who"]})]
    )
    secret = ["anna@example.com"] * 4
    own = ['{"who":"anna"}', '{"who":"anna"', None, '{"who":"anna","long":"' + "x" * 700 + '"}']
    file = house.put(PURCHASE, "a.parquet", table(["a", None, "c", "d"], user_id=secret, properties=own))
    assert house.deliver(file) == Counts(read=4, sent=2, dead_lettered=2)
    everything = f"{house.target.accepted} {house.letters(file)} {caplog.text}"
    assert "anna" not in everything
    assert "[REDACTED]" in everything


def test_drift_is_in_the_account() -> None:
    house = House()
    house.deliver(house.put("users.brand.New", "a.parquet", table(["x"])))
    assert house.account().drift == {"users.brand.New": {"undocumented event type"}}


def test_rows_that_can_not_go_are_parked_with_origin_and_reason_and_the_rest_goes_on() -> None:
    house = House(MemoryTarget(answer=lambda entry: Invalid("MalformedDetail", "no") if entry.row == 2 else Sent()))
    file = house.put(OPEN, "a.parquet", table(["x", None, "z"], note=["n0", "n1", "n2"]))
    assert house.deliver(file) == Counts(read=3, sent=1, dead_lettered=2)
    first, second = house.letters(file)
    origin = {"bucket": "braze", "key": file.key, "etag": file.etag}
    assert first == {
        "event_type": OPEN,
        "code": "no_id",
        "reason": "id is missing or unusable",
        "origin": {**origin, "row": 1},
        "mode": "live",
        "attempts": 0,
        "first_at": "2026-11-23T09:00:00+00:00",
        "last_at": "2026-11-23T09:00:00+00:00",
        "record": {"id": None, "time": 1, "note": "n1"},
        "entry": None,
    }
    assert (second["code"], second["attempts"], second["record"]) == (
        "MalformedDetail",
        1,
        {"id": "z", "time": 2, "note": "n2"},
    )
    assert isinstance(second["entry"], dict)
    assert json.loads(second["entry"]["detail"])["id"] == "z"


def test_an_oversized_entry_is_parked_with_its_size() -> None:
    house = House(MemoryTarget(Limits(entries_per_request=10, bytes_per_request=400, bytes_per_entry=400)))
    file = house.put(OPEN, "a.parquet", table(["x", "y"], note=["short", "l" * 500]))
    assert house.deliver(file) == Counts(read=2, sent=1, dead_lettered=1)
    [letter] = house.letters(file)
    assert letter["code"] == "oversized"
    assert "bytes, over the limit of 400" in str(letter["reason"])


def test_an_entry_of_exactly_the_limit_goes() -> None:
    probe = House()
    probe.deliver(probe.put(OPEN, "a.parquet", table(["x"], note=["é😀"])))
    [entry] = probe.target.accepted
    size = entry_size(entry.source, entry.detail_type, len(entry.detail.encode()), entry.resource)
    for limit, sent in [(size, 1), (size - 1, 0)]:
        house = House(MemoryTarget(Limits(10, limit, limit)))
        assert house.deliver(house.put(OPEN, "a.parquet", table(["x"], note=["é😀"]))).sent == sent


def test_event_types_that_the_connector_leaves_out_are_counted_as_filtered() -> None:
    house = House(event_types={"exclude": ["*.Open"]})
    body = table(["x", "y"], event_type=[OPEN, PURCHASE])
    assert house.deliver(house.put(None, "a.parquet", body)) == Counts(read=2, sent=1, filtered=1)


def test_a_row_whose_event_type_nothing_names_is_parked() -> None:
    house = House()
    file = house.put(None, "a.parquet", table(["x", "y"], event_type=[None, PURCHASE]))
    assert house.deliver(file) == Counts(read=2, sent=1, dead_lettered=1)
    assert [each["code"] for each in house.letters(file)] == ["no_event_type"]


def test_a_file_whose_event_type_nothing_names_fails_clearly() -> None:
    house = House()
    with pytest.raises(
        DeliveryError, match="no event_type column, folder in the key or Avro schema names the event type"
    ):
        house.deliver(house.put(None, "a.parquet", table(["x"])))


def test_a_damaged_file_fails_by_name_and_the_others_are_delivered() -> None:
    house = House()
    files = [
        house.put(OPEN, "a.parquet", b"PAR1 damaged"),
        house.put(OPEN, "b.parquet", table(["x"])),
    ]
    with pytest.raises(DeliveryError, match=r"1 file can't be read.*a\.parquet: not a readable Parquet file"):
        house.deliver(*files)
    assert house.ids() == {"x": 1}
    assert house.done() == {files[1].id}
    assert house.states()[files[0].id].reason.startswith(f"s3://braze/{files[0].key}: not a readable Parquet file")


def test_a_file_that_changed_since_it_was_listed_fails_by_name() -> None:
    house = House()
    stale = house.put(OPEN, "a.parquet", table(["x"]))
    house.put(OPEN, "a.parquet", table(["y"]))
    with pytest.raises(DeliveryError, match="changed or removed since it was listed"):
        house.deliver(stale)
    assert house.ids() == {}


def test_what_is_settled_before_a_passing_fault_stays_settled() -> None:
    down = {"now": False}

    def answer(entry: Entry) -> Result:
        down["now"] = down["now"] or "b.parquet" in entry.resource
        return Failed("InternalFailure", "", "outage") if down["now"] else Sent()

    house = House(MemoryTarget(answer=answer))
    files = [house.put(OPEN, name, table([name])) for name in ("a.parquet", "b.parquet")]
    with pytest.raises(TransientError):
        house.deliver(*files)
    assert house.done() == {files[0].id}
    house.target = MemoryTarget()
    assert house.deliver(*files) == Counts(read=1, sent=1)


def test_a_file_that_can_be_read_after_all_is_no_longer_recorded_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    monkeypatch.setattr(deliver_module, "read", raising(FileError("unreadable for now")))
    with pytest.raises(DeliveryError):
        house.deliver(file)
    assert house.states()[file.id].fate == "failed"
    monkeypatch.undo()
    assert house.deliver(file) == Counts(read=1, sent=1)
    assert house.states()[file.id].fate == "done"


def read_halfway(uri: str) -> Callable[..., Contents]:
    """Reads the first rows of one file, and finds it damaged after them; reads others as they are."""

    def halfway(path: Path, told: str) -> Contents:
        contents = read(path, told)

        def batches() -> Iterator[Batch]:
            yield next(contents.batches)
            raise FileError("damaged from here on")

        return replace(contents, batches=batches()) if told == uri else contents

    return halfway


@pytest.mark.parametrize("then", ["removed", "replaced"])
def test_a_letter_stays_when_its_file_can_not_be_read_any_more(then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    bad, good = house.put(OPEN, "a.parquet", table(["x"])), house.put(OPEN, "b.parquet", table(["y", "x"]))
    house.target.answer = lambda entry: Invalid("MalformedDetail", "no") if '"x"' in entry.detail else Sent()
    monkeypatch.setattr(deliver_module, "read", read_halfway(bad.uri))
    with pytest.raises(DeliveryError, match="damaged from here on"):
        house.deliver(bad, good)
    assert house.account().totals == Counts(read=2, sent=1, duplicate=1)
    # That row is a duplicate of one that has only a letter, and the letter is all that tells of the event.
    assert letters(house, bad) == ["MalformedDetail"]
    house.source.delete(bad.key)
    if then == "replaced":
        with pytest.raises(DeliveryError, match="changed or removed"):
            house.deliver(bad)
        assert house.states()[bad.id].fate == "failed"
    else:
        house.delivery().deliver({bad.slice: []})
        assert house.states()[bad.id].fate == "gone"
        assert house.account().totals == Counts(read=3, sent=1, duplicate=1, dead_lettered=1)
    assert letters(house, bad) == ["MalformedDetail"]


def test_dead_letters_are_written_before_the_file_is_called_done() -> None:
    class Full(MemoryObjects):
        def upload(self, key: str, body: IO[bytes]) -> None:
            if key.endswith(".letters"):
                raise TransientError("no room")
            super().upload(key, body)

    house = House()
    house.keep_state_in(Full("state"))
    with pytest.raises(TransientError):
        house.deliver(house.put(OPEN, "a.parquet", table([None])))
    assert house.done() == set()


@pytest.mark.parametrize(
    "until", [pa.array([2**63 - 1] * 4, pa.timestamp("us")), pa.array([2**31 - 1] * 4, pa.int32())]
)
def test_a_row_with_a_date_that_python_can_not_tell_is_a_letter_like_any_other(until: pa.Array) -> None:
    house = House()
    house.target.answer = lambda entry: Invalid("MalformedDetail", "no") if '"id":"bad"' in entry.detail else Sent()
    until = until if pa.types.is_timestamp(until.type) else until.cast(pa.date32())
    times = pa.array([1, 2, None, 4], pa.int64())
    body = pa.table({"id": ["a", "bad", "b", None], "time": times, "until": until})
    assert house.deliver(house.put(OPEN, "a.parquet", body)) == Counts(read=4, sent=1, dead_lettered=3)
    assert sorted(letter["code"] for letter in house.letters()) == ["MalformedDetail", "no_id", "no_time"]


def test_times_of_years_that_are_none_cost_their_rows() -> None:
    house = House()
    times = pa.array([1_795_420_801 * 10**9, 1_795_420_801 * 10**6], pa.timestamp("us"))
    body = pa.table({"id": ["a", "b"], "time": times})
    assert house.deliver(house.put(OPEN, "a.parquet", body)) == Counts(read=2, sent=1, dead_lettered=1)
    assert [letter["code"] for letter in house.letters()] == ["no_time"]


def test_bytes_that_are_no_text_cost_their_row_and_show_in_no_message(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    ids = pa.array([b"\xffanna@example.com", b"y"], pa.binary())
    binary = pa.table({"id": ids, "time": [1, 2]})
    file = house.put(OPEN, "a.parquet", binary.cast(pa.schema({"id": pa.string(), "time": pa.int64()}), safe=False))
    assert house.deliver(file) == Counts(read=2, sent=1, dead_lettered=1)
    assert [each["code"] for each in house.letters(file)] == ["not_utf8"]
    assert "anna" not in caplog.text


def letters(house: House, *files: SourceFile) -> list[object]:
    return [letter["code"] for file in files for letter in house.letters(file)]


def ending(house: House, refused: set[str], *, after: int, by_stop: bool) -> Callable[[Entry], Result]:
    """Answers so many entries, and then ends the delivery one way or the other."""
    left = iter(range(after))

    def answer(entry: Entry) -> Result:
        if json.loads(entry.detail)["id"] in refused:
            return Invalid("MalformedDetail", "no")
        if next(left, None) is None:
            if not by_stop:
                return Failed("InternalFailure", "down", "outage")
            house.running.stop()
        return Sent()

    return answer


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_wherever_it_ends_a_rerun_completes_it_and_repeats_nothing(
    data: st.DataObject,
) -> None:
    """Each try is ended at some entry, by a fault of the network or by being told to stop; the last is left alone."""
    house = House()
    ids = [[f"{name}{row}" for row in range(data.draw(st.integers(0, 40)))] for name in "abc"]
    files = [house.put(OPEN, f"{each}.parquet", table([*rows, *rows[:3]])) for each, rows in enumerate(ids)]
    refused = data.draw(st.sets(st.sampled_from([each for rows in ids for each in rows] or ["none"])))
    for _ in range(data.draw(st.integers(0, 4))):
        house.target.answer = ending(
            house, refused, after=data.draw(st.integers(0, 100)), by_stop=data.draw(st.booleans())
        )
        with suppress(TransientError):
            house.deliver(*files)
    house.target.answer = ending(house, refused, after=1_000, by_stop=False)
    house.deliver(*files)
    everything = {each for rows in ids for each in rows}
    assert house.ids() == Counter(everything - refused)
    assert len(letters(house, *files)) == len(everything & refused)
    totals = house.account().totals
    duplicates = sum(len(rows[:3]) for rows in ids)
    expected = Counts(len(everything) + duplicates, len(everything - refused), duplicates, 0, len(everything & refused))
    assert totals == expected


def held(house: House, file: SourceFile, owner: str = "the other task") -> Claim:
    claim = house.ledger.claim(file.slice, owner)
    assert isinstance(claim, Claim)
    return claim


def test_a_slice_that_another_task_has_is_waited_for_and_what_is_done_then_is_skipped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    other = held(house, file)

    class Hands(type(house.crew)):  # type: ignore[misc]
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.slept >= 5 and other.head.owner:
                done = Account({OPEN: Counts(read=1, sent=1)})
                other.swap([FileState(file, 0, "done", RowSet([(0, 1)]), done)], release=True)

    house.crew.__class__ = Hands
    assert house.deliver(file) == Counts()
    assert house.ids() == {}
    assert "the other task has it; waiting until it is through or gone" in caplog.text
    assert "1 file delivered before" in caplog.text


def test_a_slice_that_another_task_has_does_not_hold_up_others() -> None:
    house = House()
    file, free = house.put(OPEN, "a.parquet", table(["x"])), house.put(PURCHASE, "a.parquet", table(["y"]))
    held(house, file)
    went: list[float] = []
    house.target.answer = lambda _: went.append(house.crew.slept) or Sent()  # type: ignore[func-returns-value]
    house.deliver(file, free)
    assert went == [0.0, pytest.approx(LEASE_SECONDS, abs=2)]
    assert house.ids() == {"x": 1, "y": 1}


@pytest.mark.parametrize("waits", [True, False])
def test_a_slice_whose_task_died_is_taken_over_and_what_was_accepted_is_not_sent_again(waits: bool) -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x", "y"]))
    dead = held(house, file, "a task that dies")
    ids = placed(fingerprints(pa.array(["x"]), OPEN), 0, [0])
    dead.swap([FileState(file, 0, "open", RowSet([(0, 1)]))], [ids])
    assert house.delivery(waits=waits).deliver(by_slice([file])).totals == Counts(read=2, sent=2)
    assert house.ids() == {"y": 1}
    assert house.crew.slept >= LEASE_SECONDS


def test_slices_are_left_to_a_task_once_it_is_seen_to_be_alive(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    house = House()
    files = [house.put(f"type {number}", "a.parquet", table([f"{number}"])) for number in range(12)]
    others = [held(house, file) for file in files[1:]]

    def beat() -> None:
        for other in others:
            other.swap()

    house.crew.meanwhile = beat
    assert house.delivery(waits=False).deliver(by_slice(files)).totals == Counts(read=1, sent=1)
    assert house.ids() == {"0": 1}
    assert house.crew.slept < LEASE_SECONDS
    assert caplog.text.count("is left to the other task, which is at it") == len(others)


def owner(house: House, file: SourceFile) -> str | None:
    head = house.ledger.head(file.slice)
    assert head
    return head.owner


def test_a_slice_is_given_back_when_its_pages_can_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    monkeypatch.setattr(Claim, "seen", raising(TransientError("SlowDown")))
    with pytest.raises(TransientError, match="SlowDown"):
        house.deliver(file)
    assert owner(house, file) is None


def test_a_slice_that_is_being_taken_is_given_back_when_the_delivery_is_told_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))

    def slowly(claim: Claim) -> SeenIds:
        house.running.stop()
        time.sleep(0.1)
        return SeenIds()

    monkeypatch.setattr(Claim, "seen", slowly)
    with pytest.raises(TransientError, match="told to stop"):
        house.deliver(file)
    assert owner(house, file) is None


def test_a_page_that_the_next_holder_of_a_slice_removed_is_no_fault_of_the_state() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    claim = held(house, file)
    claim.head = replace(claim.head, id_pages=("000001-x-0.ids",))
    with pytest.raises(PageMissingError), claim.reading():
        claim.seen()
    house.crew.slept += LEASE_SECONDS + 1
    held(house, file, "the successor")
    with pytest.raises(FencedError), claim.reading():
        claim.seen()


@pytest.mark.parametrize("faults", [1, 1_000])
def test_a_fault_while_pages_are_removed_undoes_nothing_and_holds_nothing_up(faults: int) -> None:
    class Flaky(MemoryObjects):
        left = faults

        def delete(self, key: str) -> None:
            super().delete(key)
            if self.left:
                self.left -= 1
                raise TransientError("SlowDown")

    house, state = House(MemoryTarget(answer=lambda _: Invalid("MalformedDetail", "no"))), Flaky("state")
    house.keep_state_in(state)
    file = house.put(OPEN, "a.parquet", table(["x", "y"]))
    assert house.deliver(file) == Counts(read=2, dead_lettered=2)
    house.target = MemoryTarget()
    assert house.redrive() == Counts(read=2, sent=2)
    assert state.left == faults - 1
    assert house.account().totals == Counts(read=2, sent=2)
    assert [key for key in state.contents if key.endswith(".letters")] == []
    assert owner(house, file) is None


def test_a_slice_that_another_task_keeps_for_too_long_is_left_to_it() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    other = held(house, file)

    class Hands(type(house.crew)):  # type: ignore[misc]
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds * 30)
            other.swap()

    house.crew.__class__ = Hands
    with pytest.raises(TransientError, match="the other task has had it for 15 minutes and is still at it"):
        house.deliver(file)


def test_a_task_whose_slice_went_to_another_stops_and_writes_nothing_more() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table([f"{row}" for row in range(50)]))
    stolen: list[Claim] = []

    def steal(_entry: Entry) -> Result:
        if not stolen:
            # As if this task had slept for a minute, and another had come.
            house.crew.slept += LEASE_SECONDS + 1
            stolen.append(held(house, file, "the successor"))
        return Sent()

    house.target = MemoryTarget(answer=steal)
    with pytest.raises(TransientError, match="another task took it over"):
        house.deliver(file)
    assert house.done() == set()
    head = house.ledger.head(file.slice)
    assert head
    assert head.owner == "the successor"
    stolen[0].swap()


def test_a_checkpoint_that_fails_is_made_up_for_by_the_next(caplog: pytest.LogCaptureFixture) -> None:
    class Flaky(MemoryObjects):
        left = 9

        def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
            if replaces is not None and self.left:
                self.left -= 1
                raise TransientError("SlowDown")
            return super().write_version(key, body, replaces)

    house, state = House(), Flaky("state")
    house.keep_state_in(state)
    file = house.put(OPEN, "a.parquet", table([f"{row}" for row in range(200)]))

    def slowly(_entry: Entry) -> Result:
        time.sleep(0.002)
        return Sent()

    house.target = MemoryTarget(answer=slowly)
    assert house.delivery(beat_seconds=0.02).deliver(by_slice([file])).totals == Counts(read=200, sent=200)
    assert state.left == 0
    assert "the checkpoint is late: SlowDown" in caplog.text


def test_a_delivery_in_which_nothing_moves_ends() -> None:
    house = House()

    class Deaf(MemoryTarget):
        """A destination that never answers."""

        def send(self, chunk: Sequence[Span], complete: Completion) -> None:
            pass

    class Hurried(type(house.crew)):  # type: ignore[misc]
        def seconds(self) -> float:
            return float(super().seconds() * 2_000)

    house.target = Deaf()
    house.crew.__class__ = Hurried
    file = house.put(OPEN, "a.parquet", table(["x"]))
    with pytest.raises(TransientError, match="nothing has moved for 20 minutes; clear the task to resume"):
        house.delivery(beat_seconds=0.02).deliver(by_slice([file]))


def test_what_was_accepted_is_saved_while_a_file_is_sent() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table([f"{row}" for row in range(300)]))
    saved: list[int] = []

    def slowly(entry: Entry) -> Result:
        time.sleep(0.001)
        state = house.states().get(file.id)
        saved.append(len(state.rows) if state else 0)
        return Sent()

    house.target = MemoryTarget(answer=slowly)
    house.delivery(beat_seconds=0.02).deliver(by_slice([file]))
    assert len(set(saved)) > 3
    assert saved == sorted(saved)


def test_thousands_of_tiny_files_share_their_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    # However long the next entries take to come.
    monkeypatch.setattr("currents_core.sending.send._LINGER", 1.0)
    house = House()
    files = [house.put(OPEN, f"{number:04}.parquet", table([f"{number}"])) for number in range(500)]
    assert house.deliver(*files) == Counts(read=500, sent=500)
    assert len(house.target.requests) == 50
    assert len(house.done()) == 500


def test_a_backfill_says_so_in_the_detail_and_a_live_event_is_exactly_brazes() -> None:
    live, back = House(), House()
    for house in (live, back):
        house.put(OPEN, "a.parquet", table(["x"]))
    [file] = [house.put(OPEN, "a.parquet", table(["x"])) for house in (live,)]
    live.deliver(file)
    back.delivery(mode="backfill").deliver(by_slice([file]))
    [plain], [marked] = live.target.accepted, back.target.accepted
    assert list(json.loads(plain.detail)) == ["event_type", "id", "time", "user", "properties"]
    assert json.loads(marked.detail) == {**json.loads(plain.detail), "currents_export": {"mode": "backfill"}}


def test_what_a_swap_without_an_answer_settled_stays_settled() -> None:
    class Lossy(MemoryObjects):
        is_lossy = False

        def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
            etag = super().write_version(key, body, replaces)
            if b'"done"' in body and not self.is_lossy:
                self.is_lossy = True
                raise TransientError("no answer")
            return etag

        def read_version(self, key: str) -> Version | None:
            if self.is_lossy and self.reads_to_lose:
                self.reads_to_lose -= 1
                raise TransientError("SlowDown")
            return super().read_version(key)

        reads_to_lose = 1

    house, state = House(MemoryTarget(answer=lambda _: Invalid("MalformedDetail", "no"))), Lossy("state")
    house.keep_state_in(state)
    file = house.put(OPEN, "a.parquet", table(["x"]))
    fates: list[str] = []
    real = Claim._replace

    def watched(claim: Claim, new: Head, *, release: bool = False) -> None:
        fates.extend(each.fate for each in new.files.values())
        real(claim, new, release=release)

    with patch.object(Claim, "_replace", watched):
        assert house.deliver(file) == Counts(read=1, dead_lettered=1)
    assert set(fates) == {"done"}
    assert len(house.letters(file)) == 1


def test_dead_letters_of_a_delivery_that_did_not_end_do_not_stay_when_the_rows_go_through() -> None:
    house = House(MemoryTarget(answer=lambda entry: Invalid("MalformedDetail", "no")))
    file = house.put(OPEN, "a.parquet", table(["x"]))
    # The letters arrive, but no head names them.
    refused = raising(SetupError("no right to write"))
    with patch.multiple(Claim, finish=refused, swap=refused), pytest.raises(SetupError):
        house.deliver(file)
    assert any(key.endswith(".letters") for key in house.state.contents)
    assert house.letters(file) == []
    house.target = MemoryTarget()
    assert house.deliver(file) == Counts(read=1, sent=1)
    assert house.letters(file) == []


@pytest.mark.parametrize("limit", [1, 9, 10, 11, 25, 60, 1_000])
def test_so_many_events_are_sent_and_a_later_delivery_goes_on_from_there(limit: int) -> None:
    house = House()
    files = [house.put(OPEN, f"{name}.parquet", table([f"{name}{row}" for row in range(20)])) for name in "abc"]
    house.delivery(max_events=limit).deliver(by_slice(files))
    assert house.ids().total() == min(limit, 60)
    house.deliver(*files)
    assert len(house.ids()) == house.ids().total() == 60
    assert house.account().totals == Counts(read=60, sent=60)


def test_a_file_that_was_gone_and_is_back_goes_on_from_where_it_was() -> None:
    house = House()
    body = table(["x", "y", "z"])
    file = house.put(OPEN, "a.parquet", body)
    house.delivery(max_events=1).deliver(by_slice([file]))
    house.source.delete(file.key)
    house.delivery().deliver({file.slice: []})
    assert house.states()[file.id].fate == "gone"
    assert house.put(OPEN, "a.parquet", body) == file
    house.delivery(max_events=1).deliver(by_slice([file]))
    assert house.deliver(file) == Counts(read=3, sent=3)
    assert house.ids() == {"x": 1, "y": 1, "z": 1}


def test_what_an_earlier_version_took_for_a_file_is_one_no_more() -> None:
    house = House()
    good, hidden = (
        house.put(OPEN, "a.parquet", table(["x"])),
        house.put(OPEN, "_temporary/0/b.parquet", b"half of it"),
    )
    with pytest.raises(DeliveryError):
        house.deliver(good, hidden)
    house.delivery().deliver({good.slice: []})
    assert {state.file: state.fate for state in house.states().values()} == {good: "done", hidden: "gone"}


def test_a_delivery_that_is_to_end_early_and_can_not_save_what_it_sent_fails() -> None:
    class Full(MemoryObjects):
        def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
            if replaces is not None:
                house.crew.sleep(60)
                raise TransientError("no room")
            return super().write_version(key, body, replaces)

    house = House()
    house.keep_state_in(Full("state"))
    file = house.put(OPEN, "a.parquet", table(["x", "y"]))
    with pytest.raises(TransientError, match="no room"):
        house.delivery(max_events=1).deliver(by_slice([file]))


def test_events_name_their_file_in_the_partition_that_it_is_in() -> None:
    house = House()
    house.source.partition = "aws-cn"
    file = house.put(OPEN, "a.parquet", table(["x"]))
    assert house.deliver(file).sent == 1
    assert house.target.accepted[0].resource == f"arn:aws-cn:s3:::braze/{file.key}"


def not_text(values: list[Any], kind: pa.DataType, text: pa.DataType) -> pa.Array:
    """A column of text, made of bytes that may be none, as a writer that does not check them leaves it."""
    return pa.array(values, kind).cast(text, safe=False)


@pytest.mark.parametrize("action", ["drop", "redact", "hash"])
def test_properties_that_are_no_text_cost_their_row_and_a_pointer_rule_still_covers_them(
    action: Literal["drop", "redact", "hash"], caplog: pytest.LogCaptureFixture
) -> None:
    house = House()
    house.personal_data = PersonalData((PersonalDataRule(action=action, pointers=("/email",)),), b"key")
    texts = not_text([b'{"email":"anna@example.com\xff"}', b'{"email":"b"}'], pa.binary(), pa.string())
    file = house.put(PURCHASE, "a.parquet", table(["x", "y"], properties=texts))
    assert house.deliver(file) == Counts(read=2, sent=1, dead_lettered=1)
    [letter] = house.letters(file)
    assert (letter["code"], letter["origin"]["row"]) == ("not_utf8", 0)
    assert "anna" not in json.dumps(letter) + caplog.text


def test_an_event_type_that_is_no_text_or_too_long_costs_its_row() -> None:
    house = House()
    types = not_text([b"\xff", b"x" * 129, OPEN.encode()], pa.binary(), pa.string())
    file = house.put(None, "a.parquet", table(["x", "y", "z"], event_type=types))
    assert house.deliver(file) == Counts(read=3, sent=1, dead_lettered=2)
    letters = house.letters(file)
    assert [letter["code"] for letter in letters] == ["not_utf8", "event_type_too_long"]
    assert [letter["record"]["event_type"] for letter in letters] == [r"\xff", "x" * 129]


def test_text_inside_a_list_that_is_none_costs_its_row() -> None:
    house = House()
    urls = not_text([[b"\xff"], [b"ok"]], pa.list_(pa.binary()), pa.list_(pa.string()))
    file = house.put(OPEN, "a.parquet", table(["x", "y"], media_urls=urls))
    assert house.deliver(file) == Counts(read=2, sent=1, dead_lettered=1)
    assert [letter["code"] for letter in house.letters(file)] == ["not_utf8"]


def test_refusals_by_policy_that_end_the_task_park_nothing() -> None:
    refused = Invalid("NotAuthorizedForSource", "no", by_policy=True)
    house = House(MemoryTarget(answer=lambda entry: refused))
    files = [house.put(OPEN, f"{name}.parquet", table([f"{name}{row}" for row in range(60)])) for name in "ab"]
    with pytest.raises(SetupError, match="100 entries in a row"):
        house.deliver(*files)
    assert house.done() == set()
    assert house.letters(*files) == []


class _RareError(Exception):
    """What no one has thought of."""


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("place", ["read", "entries"])
def test_whatever_a_file_raises_costs_that_file_alone(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    bad, good = house.put(OPEN, "a.parquet", table(["x"])), house.put(PURCHASE, "b.parquet", table(["y"]))
    before: dict[str, Callable[..., Any]] = {"read": read, "entries": Preparation.entries}

    def only_the_bad(*given: Any, **more: Any) -> Any:
        files = [part.file for part in given if isinstance(part, OpenFile)]
        if any(part == bad.uri for part in given) or bad in files:
            raise _RareError("a value of a record")
        return before[place](*given, **more)

    monkeypatch.setattr(deliver_module if place == "read" else Preparation, place, only_the_bad)
    with pytest.raises(DeliveryError, match=rf"1 file can't be read.*{bad.key}: .*_RareError at \w+\.py:\d+\)") as told:
        house.deliver(bad, good)
    assert "a value of a record" not in str(told.value)
    assert house.ids() == {"y": 1}
    assert house.done() == {good.id}


LACKS = {
    "out of memory": MemoryError(),
    "No space left on device": OSError(errno.ENOSPC, "No space left on device", "/tmp/a"),
}


@pytest.mark.parametrize(
    ("what", "place"),
    [
        ("out of memory", (Preparation, "entries")),
        ("No space left on device", (Preparation, "entries")),
        ("No space left on device", (MemoryObjects, "download")),
    ],
)
def test_what_the_machine_lacks_is_no_damage_of_a_file(
    what: str, place: tuple[type, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    monkeypatch.setattr(*place, raising(LACKS[what]))
    with pytest.raises(TransientError, match=rf"{file.key}: this worker failed: {what}; mend that, then clear"):
        house.deliver(file)
    assert house.states() == {}
    monkeypatch.undo()
    assert house.deliver(file) == Counts(read=1, sent=1)


def test_a_task_that_starts_on_a_full_disk_is_no_damage_of_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Python finds no folder for temporary files then, and says that a file is missing."""
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "full")])
    with pytest.raises(TransientError, match=rf"{file.key}: this worker failed: no folder for temporary .*; mend that"):
        house.deliver(file)
    assert house.states() == {}
    monkeypatch.undo()
    assert house.deliver(file) == Counts(read=1, sent=1)


def test_an_oversized_row_is_parked_with_its_short_values_and_the_others_go() -> None:
    house = House()
    long = "x" * 5_000_000
    file = house.put(PURCHASE, "a.parquet", table(["x", "y", "z"], product_id=["1", "2", "3"], currency=["", long, ""]))
    assert house.deliver(file) == Counts(read=3, sent=2, dead_lettered=1)
    [letter] = house.letters(file)
    assert (letter["code"], letter["origin"]["row"]) == ("oversized_row", 1)
    assert letter["record"] == {"id": "y", "time": 1, "product_id": "2", "currency": None}
    assert house.ids() == {"x": 1, "z": 1}


def test_an_oversized_row_of_an_event_type_that_is_not_wanted_is_filtered() -> None:
    house = House(event_types={"include": [OPEN]})
    file = house.put(PURCHASE, "a.parquet", table(["x"], currency=["x" * 5_000_000]))
    assert house.deliver(file) == Counts(read=1, filtered=1)


def test_a_file_of_hundreds_of_event_types_fails_by_name() -> None:
    house = House()
    types = [f"type {number}" for number in range(300)]
    bad = house.put(None, "a.parquet", table([*map(str, range(300))], event_type=types))
    good = house.put(OPEN, "b.parquet", table(["y"]))
    with pytest.raises(DeliveryError, match=rf"{bad.key}: 251 event types, over the limit of 250; replace or remove"):
        house.deliver(bad, good)
    assert house.ids()["y"] == 1


def test_a_file_that_has_a_column_twice_fails_by_name() -> None:
    house = House()
    twice = pa.Table.from_arrays([pa.array(["x"])] * 2, names=["id", "id"])
    bad, good = house.put(OPEN, "a.parquet", twice), house.put(OPEN, "b.parquet", table(["y"]))
    with pytest.raises(DeliveryError, match=rf"{bad.key}: the column 'id' is there more than once; replace"):
        house.deliver(bad, good)
    assert house.ids() == {"y": 1}


def test_a_filter_that_is_removed_between_two_tries_lets_go_all_that_it_kept() -> None:
    house = House(filter=[{"field": "country", "in": ["US"]}])
    ids: list[str | None] = [f"{row}" for row in range(100)]
    file = house.put(OPEN, "a.parquet", table(ids, country=["US", "DE"] * 50))
    house.target.answer = ending(house, set(), after=20, by_stop=False)
    with pytest.raises(TransientError):
        house.deliver(file)
    went = len(house.target.accepted)
    assert 20 <= went < 50
    assert len(house.states()[file.id].rows) == went, "nothing but what was accepted"
    house.connector = connector()
    house.target.answer = None
    assert house.deliver(file) == Counts(read=100, sent=100)
    assert house.ids() == dict.fromkeys(ids, 1)
    assert house.account().totals == Counts(read=100, sent=100)


def test_rows_that_went_stay_sent_under_a_filter_that_would_keep_them() -> None:
    house = House()
    ids: list[str | None] = [f"{row}" for row in range(100)]
    file = house.put(OPEN, "a.parquet", table(ids, country=["US", "DE"] * 50))
    house.target.answer = ending(house, set(), after=40, by_stop=False)
    with pytest.raises(TransientError):
        house.deliver(file)
    went = {entry.row for entry in house.target.accepted}
    house.connector = connector(filter=[{"field": "country", "in": ["US"]}])
    house.target.answer = None
    kept = len(set(range(1, 100, 2)) - went)
    assert 0 < kept < 50
    assert house.deliver(file) == Counts(read=100, sent=100 - kept, filtered=kept)
    assert house.ids().total() == 100 - kept


def test_two_versions_of_one_object_in_one_delivery_are_two_files() -> None:
    house = House()
    first = house.put(OPEN, "a.parquet", table(["x"]))
    second = house.put(OPEN, "a.parquet", table(["x", "y"]))
    with pytest.raises(DeliveryError, match="changed or removed since it was listed"):
        house.deliver(first, second)
    assert house.ids() == {"x": 1, "y": 1}
    assert {house.states()[file.id].fate for file in (first, second)} == {"failed", "done"}
    house.delivery().deliver({first.slice: [second]})
    assert house.states()[first.id].fate == "gone"


def test_what_went_of_a_file_that_is_replaced_half_way_is_not_sent_again() -> None:
    house = House()
    ids: list[str | None] = [f"{row}" for row in range(100)]
    file = house.put(OPEN, "b.parquet", table(ids))
    house.target.answer = ending(house, set(), after=40, by_stop=False)
    with pytest.raises(TransientError):
        house.deliver(file)
    house.target.answer = None
    replaced = house.put(OPEN, "b.parquet", table([*ids, "new"]))
    late = house.put(OPEN, "a.parquet", table(["0", "late"]))
    house.deliver(late, replaced)
    assert house.ids() == dict.fromkeys([*ids, "new", "late"], 1)
    assert house.account().totals.balanced
    assert house.states()[file.id].fate == "gone"


def test_ids_of_a_batch_that_fails_make_no_duplicates_of_other_files(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    types = pa.array([OPEN, PURCHASE])
    merged = house.put(None, "a", table(["x", "y"]).append_column("event_type", types))
    alone = house.put(None, "b", table(["x"]).append_column("event_type", types[:1]))
    monkeypatch.setattr(prepare, "EVENT_TYPES", 1)
    with pytest.raises(DeliveryError, match="event types"):
        house.deliver(merged, alone)
    assert house.done() == {alone.id}
    assert house.ids() == {"x": 1}
    monkeypatch.undo()
    house.deliver(merged)
    assert house.ids() == {"x": 1, "y": 1}
