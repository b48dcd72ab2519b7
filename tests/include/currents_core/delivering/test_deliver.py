from __future__ import annotations

import errno
import gzip
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from currents_aws.memory import MemoryObjects, MemoryTarget
from currents_core.books.account import Account, Counts
from currents_core.books.dead_letter import DeadLetters
from currents_core.books.layout import Layout
from currents_core.books.ledger import LEASE, Lease, Ledger
from currents_core.books.row_set import RowSet
from currents_core.books.seen_ids import fingerprints
from currents_core.delivering import deliver as deliver_module
from currents_core.delivering.prepare import Preparation
from currents_core.entry import Entry, entry_size
from currents_core.errors import DeliveryError, SetupError, TransientError
from currents_core.file_key import SourceFile
from currents_core.limits import Limits
from currents_core.ports import Failed, Invalid, Result, Sent
from currents_core.reading.read import read
from currents_core.setup.settings import PersonalDataRule
from currents_core.shaping.personal_data import PersonalData
from tests.tools.house import HOUR, NOW, OPEN, PURCHASE, House, table


def test_a_file_goes_out_as_entries_of_the_envelope_and_is_settled() -> None:
    house = House()
    file = house.put(PURCHASE, "a.parquet", table(["x"], properties=['{"a":1}']))
    assert house.deliver(file) == Counts(read=1, sent=1)
    [entry] = house.target.accepted
    assert (entry.source, entry.detail_type, entry.time) == ("braze.currents", PURCHASE, 0)
    assert entry.resource == f"arn:aws:s3:::braze/{file.key}"
    assert json.loads(entry.detail)["properties"] == {"purchase_properties": {"a": 1}}
    assert house.ledger.done(HOUR) == {file.id}


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


def test_ids_of_a_delivery_that_did_not_end_do_not_count() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x", "y"]))
    house.delivered_ids.write(file, OPEN, [fingerprints(pa.array(["x", "y"]))])
    assert house.deliver(file) == Counts(read=2, sent=2)


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
    assert [each["code"] for each in parking.dead_letters.read(file)] == ["broken_properties"]


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
    everything = f"{house.target.accepted} {house.dead_letters.read(file)} {caplog.text}"
    assert "anna" not in everything
    assert "[REDACTED]" in everything


def test_drift_is_in_the_account() -> None:
    house = House()
    house.deliver(house.put("users.brand.New", "a.parquet", table(["x"])))
    assert house.ledger.account(HOUR).account.drift == {"users.brand.New": {"undocumented event type"}}


def test_rows_that_can_not_go_are_parked_with_origin_and_reason_and_the_rest_goes_on() -> None:
    house = House(MemoryTarget(answer=lambda entry: Invalid("MalformedDetail", "no") if entry.row == 2 else Sent()))
    file = house.put(OPEN, "a.parquet", table(["x", None, "z"], note=["n0", "n1", "n2"]))
    assert house.deliver(file) == Counts(read=3, sent=1, dead_lettered=2)
    first, second = house.dead_letters.read(file)
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
    [letter] = house.dead_letters.read(file)
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
    assert [each["code"] for each in house.dead_letters.read(file)] == ["no_event_type"]


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
    assert house.ledger.done(HOUR) == {files[1].id}
    assert house.ledger.failed(HOUR)[files[0].id]["key"] == files[0].key


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
    assert house.ledger.done(HOUR) == {files[0].id}
    house.target = MemoryTarget()
    assert house.deliver(*files) == Counts(read=1, sent=1)


def test_a_file_that_is_mended_is_no_longer_recorded_as_failed() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    lease = house.ledger.claim(file, "an earlier task", NOW - LEASE)
    assert isinstance(lease, Lease)
    house.ledger.fail(file, "was unreadable", NOW)
    house.deliver(file)
    assert house.ledger.failed(HOUR) == {}


def test_dead_letters_are_written_before_the_file_is_called_done() -> None:
    class Full(MemoryObjects):
        def write(self, key: str, body: bytes) -> None:
            if key.startswith("dead_letters/"):
                raise TransientError("no room")
            super().write(key, body)

    house = House()
    house.state = Full("state")
    house.ledger, house.dead_letters = Ledger(house.state, Layout()), DeadLetters(house.state, Layout())
    with pytest.raises(TransientError):
        house.deliver(house.put(OPEN, "a.parquet", table([None])))
    assert house.ledger.done(HOUR) == set()


def test_the_same_letters_written_twice_are_the_same_bytes() -> None:
    first, second = House(), House()
    for house in (first, second):
        house.deliver(house.put(OPEN, "a.parquet", table([None, "x"])))
    assert first.state.contents == second.state.contents
    assert any(gzip.decompress(body) for key, body in first.state.contents.items() if key.startswith("dead_letters/"))


def test_bytes_that_are_no_text_cost_their_row_and_show_in_no_message(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    ids = pa.array([b"\xffanna@example.com", b"y"], pa.binary())
    binary = pa.table({"id": ids, "time": [1, 2]})
    file = house.put(OPEN, "a.parquet", binary.cast(pa.schema({"id": pa.string(), "time": pa.int64()}), safe=False))
    assert house.deliver(file) == Counts(read=2, sent=1, dead_lettered=1)
    assert [each["code"] for each in house.dead_letters.read(file)] == ["not_utf8"]
    assert "anna" not in caplog.text


def letters(house: House, *files: SourceFile) -> list[object]:
    return [letter["code"] for file in files for letter in house.dead_letters.read(file)]


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
    totals = house.ledger.account(HOUR).account.totals
    duplicates = sum(len(rows[:3]) for rows in ids)
    expected = Counts(len(everything) + duplicates, len(everything - refused), duplicates, 0, len(everything & refused))
    assert totals == expected


def test_a_file_that_another_task_has_is_waited_for_and_skipped_once_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    other = house.ledger.claim(file, "the other task", NOW)
    assert isinstance(other, Lease)

    def sleep(seconds: float) -> None:
        house.sleep(seconds)
        if house.now - NOW > timedelta(seconds=5) and file.id not in house.ledger.done(HOUR):
            house.ledger.settle(other, Account(), house.now)

    assert house.delivery(sleep=sleep).deliver([file]).totals == Counts()
    assert house.ids() == {}
    assert "the other task holds it until" in caplog.text
    assert "another task delivered it in the meantime" in caplog.text


def test_a_lease_whose_holder_died_is_taken_over_after_it_ran_out() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x", "y"]))
    lease = house.ledger.claim(file, "a task that dies", NOW)
    assert isinstance(lease, Lease)
    house.ledger.checkpoint(lease, RowSet([(0, 1)]), NOW)
    assert house.deliver(file) == Counts(read=2, sent=2)
    assert house.ids() == {"y": 1}
    assert house.now - NOW >= LEASE


def test_a_file_that_another_task_keeps_for_too_long_is_left_to_it() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    other = house.ledger.claim(file, "the other task", NOW)
    assert isinstance(other, Lease)

    def sleep(seconds: float) -> None:
        house.sleep(30)
        house.ledger.checkpoint(other, RowSet(), house.now)

    with pytest.raises(
        TransientError,
        match=r"the other task has held it for 15 minutes and keeps renewing its lease",
    ):
        house.delivery(sleep=sleep).deliver([file])


def test_a_task_whose_lease_went_to_another_stops_and_writes_nothing_more() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table([f"{row}" for row in range(50)]))
    stolen: list[Lease] = []

    def steal(_entry: Entry) -> Result:
        if not stolen:
            # As if this task had slept for a minute, and another had come.
            found = house.ledger.claim(file, "the successor", house.now + LEASE)
            assert isinstance(found, Lease)
            stolen.append(found)
            house.now += LEASE
        return Sent()

    house.target = MemoryTarget(answer=steal)
    with pytest.raises(TransientError, match="another task took it over"):
        house.deliver(file)
    assert house.ledger.done(HOUR) == set()
    house.ledger.settle(stolen[0], Account(), house.now)


def test_a_checkpoint_that_fails_is_made_up_for_by_the_next(caplog: pytest.LogCaptureFixture) -> None:
    class Flaky(MemoryObjects):
        left = 3

        def write_version(self, key: str, body: bytes, replaces: str | None) -> str:
            if replaces is not None and self.left:
                self.left -= 1
                raise TransientError("SlowDown")
            return super().write_version(key, body, replaces)

    house = House()
    house.state = Flaky("state")
    house.ledger = Ledger(house.state, Layout())
    file = house.put(OPEN, "a.parquet", table([f"{row}" for row in range(200)]))

    def slowly(_entry: Entry) -> Result:
        time.sleep(0.002)
        return Sent()

    house.target = MemoryTarget(answer=slowly)
    assert house.delivery(beat_seconds=0.02).deliver([file]).totals == Counts(read=200, sent=200)
    assert house.state.left == 0
    assert "the checkpoint is late: SlowDown" in caplog.text


def test_how_far_a_file_is_is_saved_while_it_is_sent() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table([f"{row}" for row in range(300)]))
    saved: list[int] = []

    def slowly(entry: Entry) -> Result:
        time.sleep(0.001)
        body = house.state.read(f"ledger/date={HOUR}/leases/{file.id}.json")
        saved.append(json.loads(body or b"{}")["acknowledged"]["rows"])
        return Sent()

    house.target = MemoryTarget(answer=slowly)
    house.delivery(beat_seconds=0.02).deliver([file])
    assert len(set(saved)) > 3
    assert saved == sorted(saved)


def test_thousands_of_tiny_files_share_their_requests() -> None:
    house = House()
    files = [house.put(OPEN, f"{number:04}.parquet", table([f"{number}"])) for number in range(500)]
    assert house.deliver(*files) == Counts(read=500, sent=500)
    # Fifty would do. On a busy machine some go before they are full; unshared, there would be 500.
    assert len(house.target.requests) <= 100
    assert len(house.ledger.done(HOUR)) == 500


def test_a_backfill_says_so_in_the_detail_and_a_live_event_is_exactly_brazes() -> None:
    live, back = House(), House()
    for house in (live, back):
        house.put(OPEN, "a.parquet", table(["x"]))
    [file] = [house.put(OPEN, "a.parquet", table(["x"])) for house in (live,)]
    live.deliver(file)
    back.delivery(mode="backfill").deliver([file])
    [plain], [marked] = live.target.accepted, back.target.accepted
    assert list(json.loads(plain.detail)) == ["event_type", "id", "time", "user", "properties"]
    assert json.loads(marked.detail) == {**json.loads(plain.detail), "currents_export": {"mode": "backfill"}}


def test_dead_letters_of_a_delivery_that_did_not_end_do_not_stay_when_the_rows_go_through() -> None:
    house = House(MemoryTarget(answer=lambda entry: Invalid("MalformedDetail", "no")))
    file = house.put(OPEN, "a.parquet", table(["x"]))

    class Full(Ledger):
        def settle(self, lease: Lease, account: Account, now: datetime) -> None:
            raise TransientError("no room")

    with pytest.raises(TransientError):
        house.delivery(ledger=Full(house.state, Layout())).deliver([file])
    assert letters(house, file) == ["MalformedDetail"]
    house.target = MemoryTarget()
    assert house.deliver(file) == Counts(read=1, sent=1)
    assert letters(house, file) == []


@pytest.mark.parametrize("limit", [1, 9, 10, 11, 25, 60, 1_000])
def test_so_many_events_are_sent_and_a_later_delivery_goes_on_from_there(limit: int) -> None:
    house = House()
    files = [house.put(OPEN, f"{name}.parquet", table([f"{name}{row}" for row in range(20)])) for name in "abc"]
    house.delivery(max_events=limit).deliver(files)
    assert house.ids().total() == min(limit, 60)
    house.deliver(*files)
    assert len(house.ids()) == house.ids().total() == 60
    assert house.ledger.account(HOUR).account.totals == Counts(read=60, sent=60)


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
    [letter] = house.dead_letters.read(file)
    assert (letter["code"], letter["origin"]["row"]) == ("not_utf8", 0)
    assert "anna" not in json.dumps(letter) + caplog.text


def test_an_event_type_that_is_no_text_or_too_long_costs_its_row() -> None:
    house = House()
    types = not_text([b"\xff", b"x" * 129, OPEN.encode()], pa.binary(), pa.string())
    file = house.put(None, "a.parquet", table(["x", "y", "z"], event_type=types))
    assert house.deliver(file) == Counts(read=3, sent=1, dead_lettered=2)
    letters = house.dead_letters.read(file)
    assert [letter["code"] for letter in letters] == ["not_utf8", "event_type_too_long"]
    assert [letter["record"]["event_type"] for letter in letters] == [r"\xff", "x" * 129]


def test_text_inside_a_list_that_is_none_costs_its_row() -> None:
    house = House()
    urls = not_text([[b"\xff"], [b"ok"]], pa.list_(pa.binary()), pa.list_(pa.string()))
    file = house.put(OPEN, "a.parquet", table(["x", "y"], media_urls=urls))
    assert house.deliver(file) == Counts(read=2, sent=1, dead_lettered=1)
    assert [letter["code"] for letter in house.dead_letters.read(file)] == ["not_utf8"]


def test_refusals_by_policy_park_the_rows_of_files_that_were_through_and_of_no_other() -> None:
    refused = Invalid("NotAuthorizedForSource", "no", by_policy=True)
    house = House(MemoryTarget(answer=lambda entry: refused))
    small = house.put(OPEN, "a.parquet", table([f"a{row}" for row in range(60)]))
    large = house.put(OPEN, "b.parquet", table([f"b{row}" for row in range(60)]))
    with pytest.raises(SetupError, match="100 entries in a row"):
        house.deliver(small, large)
    assert house.ledger.done(HOUR) == {small.id}
    assert len(house.dead_letters.read(small)) == 60
    assert house.dead_letters.read(large) == []


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
        if any(isinstance(part, str) and part in {bad.uri, OPEN} for part in given):
            raise _RareError("a value of a record")
        return before[place](*given, **more)

    monkeypatch.setattr(deliver_module if place == "read" else Preparation, place, only_the_bad)
    with pytest.raises(DeliveryError, match=rf"1 file can't be read.*{bad.key}: .*_RareError at \w+\.py:\d+\)") as told:
        house.deliver(bad, good)
    assert "a value of a record" not in str(told.value)
    assert house.ids() == {"y": 1}
    assert house.ledger.done(HOUR) == {good.id}


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
    assert house.ledger.failed(HOUR) == {}
    monkeypatch.undo()
    assert house.deliver(file) == Counts(read=1, sent=1)


def test_an_oversized_row_is_parked_with_its_short_values_and_the_others_go() -> None:
    house = House()
    long = "x" * 5_000_000
    file = house.put(PURCHASE, "a.parquet", table(["x", "y", "z"], product_id=["1", "2", "3"], currency=["", long, ""]))
    assert house.deliver(file) == Counts(read=3, sent=2, dead_lettered=1)
    [letter] = house.dead_letters.read(file)
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
