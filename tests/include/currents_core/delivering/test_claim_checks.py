"""Events that are too large to be sent: left in the state whole, with claim checks in their place."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from threading import Timer
from typing import Any

import pytest
from jsonschema import Draft4Validator

from currents_aws.aws_protocol import from_cbor
from currents_aws.cbor_wire import CborWire, body_of
from currents_aws.memory import MemoryObjects, MemoryTarget
from currents_core.books.account import CLAIM_CHECKS, Counts
from currents_core.books.layout import is_oversized
from currents_core.entry import Entry, Span
from currents_core.errors import StoppedError, TransientError
from currents_core.file_key import SourceFile, by_slice
from currents_core.limits import Limits
from currents_core.mode import Mode
from currents_core.ports import SENT, Completion, Failed, Result
from currents_core.setup.settings import PersonalDataRule
from currents_core.shaping.event_schema import event_schema
from currents_core.shaping.personal_data import PersonalData
from tests.tools.house import HOUR, OPEN, House, connector, table

LIMITS = Limits(entries_per_request=10, bytes_per_request=10_000, bytes_per_entry=1_200)
LARGE = 'läŕge\n"' * 200
USER = {"user_id": "anna", "external_user_id": "a-1"}


class Large(House):
    """A house whose destination takes small entries only."""

    def __init__(self, oversized: str = "claim_check", **settings: Any) -> None:
        super().__init__(MemoryTarget(LIMITS), oversized=oversized, **settings)

    def put_rows(self, ids: list[str | None], large: str, name: str = "a.parquet") -> SourceFile:
        """A file in which the rows with these letters as ids are large."""
        notes = [LARGE if each and each in large else "small" for each in ids]
        users = {key: [value] * len(ids) for key, value in USER.items()}
        return self.put(OPEN, name, table(ids, note=notes, **users))

    def details(self) -> dict[str, Any]:
        return {detail["id"]: detail for detail in (json.loads(entry.detail) for entry in self.target.accepted)}

    def left(self) -> dict[str, bytes]:
        """The objects of whole events, by key."""
        return {key: body for key, body in self.state.contents.items() if is_oversized(key)}

    def fetched(self, detail: dict[str, Any]) -> Any:
        """What a consumer finds where the event says, if it is what the event says."""
        check = detail["currents_export"]["claim_check"]
        body = self.state.contents[check["key"]]
        assert check["bucket"] == self.state.bucket
        assert (check["bytes"], check["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
        return json.loads(body)


def whole(file: SourceFile, house: House, mode: Mode = "live", **changes: Any) -> dict[str, Any]:
    """The envelopes of a file where entries may be as large as they like."""
    large = House()
    large.source, large.personal_data = house.source, house.personal_data
    large.delivery(mode=mode, **changes).deliver(by_slice([file]))
    return {detail["id"]: detail for detail in (json.loads(entry.detail) for entry in large.target.accepted)}


@pytest.mark.parametrize("mode", ["live", "backfill"])
@pytest.mark.parametrize("is_nested", [True, False])
def test_a_claim_check_leads_to_the_event_as_it_would_have_been_sent(mode: Mode, is_nested: bool) -> None:
    house = Large()
    if not is_nested:
        house.target.wire = CborWire("test")
    file = house.put_rows(["x", "y", None, "z"], large="xz")
    delivery = house.delivery(mode=mode)
    assert delivery.deliver(by_slice([file])).totals == Counts(read=4, sent=3, dead_lettered=1)
    found, expected = house.details(), whole(file, house, mode)
    assert found["y"] == expected["y"]
    for event_id in "xz":
        mark = found[event_id].pop("currents_export")
        assert mark.pop("mode", "live") == mode
        assert house.fetched({"currents_export": mark}) == expected[event_id]
        assert found[event_id] == {
            "event_type": OPEN,
            "id": event_id,
            "time": expected[event_id]["time"],
            "user": USER,
            "properties": {},
        }
    assert house.account().notes[CLAIM_CHECKS] == 2
    assert len(house.left()) == 2
    assert [letter["code"] for letter in house.letters(file)] == ["no_id"]


def test_a_claim_check_fits_the_published_schema() -> None:
    house = Large()
    house.deliver(house.put_rows(["x"], large="x"))
    schema = event_schema(OPEN, "s")
    envelope = schema["properties"]["detail"]
    validator = Draft4Validator({**envelope, "definitions": schema["definitions"]})
    assert list(validator.iter_errors(house.details()["x"])) == []


def test_by_default_a_large_event_is_a_dead_letter() -> None:
    assert connector().oversized == "dead_letter"
    house = Large("dead_letter")
    assert house.deliver(house.put_rows(["x", "y"], large="x")) == Counts(read=2, sent=1, dead_lettered=1)
    assert house.left() == {}


def test_settings_that_make_another_event_of_a_row_have_another_fingerprint() -> None:
    assert connector(oversized="claim_check").fingerprint != connector().fingerprint


def test_the_whole_event_is_there_before_its_claim_check_is_sent() -> None:
    house = Large()

    def answer(entry: Entry) -> Result:
        house.fetched(json.loads(entry.detail))
        return SENT

    house.target.answer = answer
    ids = [f"{row}" for row in range(40)]
    file = house.put(OPEN, "a.parquet", table([*ids], note=[LARGE] * 40))
    assert house.deliver(file) == Counts(read=40, sent=40)


class Faulty(MemoryObjects):
    """A bucket that can't be written to for a while, as far as whole events are concerned."""

    is_down = True

    def write(self, key: str, body: bytes) -> None:
        if is_oversized(key) and self.is_down:
            raise TransientError("write failed: SlowDown; clear the task to resume", uri=f"s3://{self.bucket}/{key}")
        super().write(key, body)


def test_where_the_event_can_not_be_left_nothing_of_it_is_sent_and_the_next_try_goes_on() -> None:
    house = Large()
    house.keep_state_in(state := Faulty("state"))
    before = house.put_rows(["a", "b"], large="")
    file = house.put_rows(["x", "y"], large="x", name="b.parquet")
    with pytest.raises(TransientError, match=r"s3://state/oversized/date=.*SlowDown; clear the task to resume"):
        house.deliver(before, file)
    assert "x" not in house.ids()
    assert file.id not in house.done()
    assert house.letters() == []
    state.is_down = False
    house.deliver(before, file)
    assert house.ids() == dict.fromkeys("abxy", 1)
    assert house.fetched(house.details()["x"]) == whole(file, house)["x"]


def test_what_is_sent_again_is_left_in_the_same_place() -> None:
    house = Large()
    file = house.put_rows(["x", "y"], large="xy")
    house.target.answer = lambda _: Failed("InternalFailure", "down", "outage")
    with pytest.raises(TransientError, match="still refused"):
        house.deliver(file)
    left = house.left()
    assert len(left) == 2
    house.target.answer = None
    house.deliver(file)
    assert house.left() == left
    again = House()
    again.connector, again.target, again.source = house.connector, house.target, house.source
    assert again.deliver(file) == Counts(read=2, sent=2), "other books know nothing of it"
    assert {key: body for key, body in again.state.contents.items() if is_oversized(key)} == left


def test_a_setting_that_changes_between_tries_counts_for_what_has_not_gone() -> None:
    house = Large()
    file = house.put_rows(["x", "y"], large="xy")
    house.target.answer = lambda entry: SENT if entry.row == 0 else Failed("InternalFailure", "down", "outage")
    with pytest.raises(TransientError, match="still refused"):
        house.deliver(file)
    assert house.ids() == {"x": 1}
    house.target.answer = None
    house.connector = Large("dead_letter").connector
    assert house.deliver(file) == Counts(read=2, sent=1, dead_lettered=1)
    assert [(letter["code"], letter["origin"]["row"]) for letter in house.letters(file)] == [("oversized", 1)]
    assert house.ids() == {"x": 1}


def test_letters_of_large_events_are_sent_again_as_claim_checks_once_that_is_set() -> None:
    house = Large("dead_letter")
    file = house.put_rows(["x", "y"], large="x")
    house.deliver(file)
    house.redrive()
    assert [letter["attempts"] for letter in house.letters(file)] == [1]
    house.connector = Large().connector
    assert house.redrive(lambda letter: letter["code"] == "oversized") == Counts(read=1, sent=1)
    assert house.letters(file) == []
    assert house.ids() == {"x": 1, "y": 1}
    assert house.fetched(house.details()["x"]) == whole(file, house)["x"]
    assert house.account().totals == Counts(read=2, sent=2)
    assert house.account().notes[CLAIM_CHECKS] == 1


def test_rules_for_personal_data_hold_for_the_event_and_for_its_claim_check() -> None:
    house = Large()
    rules = [{"action": "drop", "fields": ["external_user_id"]}, {"action": "hash", "fields": ["user_id", "note"]}]
    notes = {"extra": ["e" * 2_000]}
    file = house.put(OPEN, "a.parquet", table(["x"], user_id=["anna"], external_user_id=["a-1"], note=[LARGE], **notes))
    house.personal_data = PersonalData([PersonalDataRule.model_validate(rule) for rule in rules], b"key")
    house.deliver(file)
    found = house.details()["x"]
    expected = whole(file, house)["x"]
    assert house.fetched(found) == expected
    assert found["user"] == expected["user"] == {"user_id": expected["user"]["user_id"]}
    assert "anna" not in json.dumps([found, expected])
    hits = house.account().personal_data
    assert set(hits.values()) == {1, 2}, "each value is counted once"


def test_an_event_whose_claim_check_would_not_fit_either_is_a_dead_letter_and_is_not_left_anywhere() -> None:
    house = Large()
    long_id = "x" * 2_000
    file = house.put(OPEN, "a.parquet", table([long_id, "y"], note=["", LARGE]))
    assert house.deliver(file) == Counts(read=2, sent=1, dead_lettered=1)
    [letter] = house.letters(file)
    assert (letter["code"], letter["record"]["id"], json.loads(letter["entry"]["detail"])["id"]) == (
        "oversized",
        long_id,
        long_id,
    )
    assert len(house.left()) == 1


def test_ids_that_are_equal_in_two_slices_do_not_share_an_object() -> None:
    house = Large()
    named = house.put_rows(["x"], large="x")
    unnamed = house.put(None, "b.parquet", table(["x"], event_type=[OPEN], note=[LARGE]))
    assert house.deliver(named, unnamed) == Counts(read=2, sent=2)
    first, second = (json.loads(entry.detail) for entry in house.target.accepted)
    assert {house.fetched(each)["user"].get("user_id") for each in (first, second)} == {"anna", None}


class Slow(MemoryObjects):
    """A bucket in which whole events take a while, and which knows how many come at the same time."""

    most = now = 0
    seconds = 0.01
    lock = threading.Lock()

    def write(self, key: str, body: bytes) -> None:
        if is_oversized(key):
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            time.sleep(self.seconds)
            with self.lock:
                self.now -= 1
        super().write(key, body)


def test_several_events_are_left_at_a_time_but_not_so_many_that_the_head_waits() -> None:
    house = Large()
    house.keep_state_in(state := Slow("state"))
    # Long enough for all threads to start.
    state.seconds = 0.1
    ids: list[str | None] = [f"{row}" for row in range(60)]
    house.deliver(house.put(OPEN, "a.parquet", table(ids, note=[LARGE] * 60)))
    assert state.most == 8


@pytest.fixture
def stopped() -> Iterator[Large]:
    house = Large()
    house.keep_state_in(Slow("state"))
    yield house
    house.state.seconds = 0.0  # type: ignore[attr-defined]


def test_a_stop_does_not_wait_for_what_is_still_to_be_left(stopped: Large) -> None:
    ids: list[str | None] = [f"{row}" for row in range(2_000)]
    file = stopped.put(OPEN, "a.parquet", table(ids, note=[LARGE] * 2_000))
    delivery = stopped.delivery()
    Timer(0.3, delivery.stop).start()
    began = time.monotonic()
    with pytest.raises(StoppedError, match="told to stop"):
        delivery.deliver(by_slice([file]))
    assert time.monotonic() - began < 2
    assert stopped.target.accepted == []
    assert stopped.ledger.heads(HOUR)[0].owner is None


def test_a_claim_check_goes_with_the_other_events_of_its_user() -> None:
    class Noting(MemoryTarget):
        def send(self, chunk: Sequence[Span], complete: Completion) -> None:
            sent.extend(from_cbor(body_of("arn", chunk))["Entries"])
            super().send(chunk, complete)

    sent: list[dict[str, Any]] = []
    house = Large()
    house.target = Noting(LIMITS)
    house.target.wire = CborWire("test", groups=1_000)
    rows = table([*"abcd"], note=["", LARGE, LARGE, ""], user_id=["anna", "anna", "bert", None])
    house.deliver(house.put(OPEN, "a.parquet", rows))
    group = {json.loads(each["Detail"])["id"]: each["SystemMetadata"].get("EventGroupId") for each in sent}
    assert group["a"] == group["b"] != group["c"]
    assert None not in {group["a"], group["c"]}
    assert group["d"] is None


def test_a_trial_sends_no_more_claim_checks_than_it_may() -> None:
    house = Large()
    file = house.put_rows(["x", "y", "z"], large="xyz")
    house.delivery(max_events=2).deliver(by_slice([file]))
    assert house.ids() == {"x": 1, "y": 1}
    house.deliver(file)
    assert house.ids() == {"x": 1, "y": 1, "z": 1}
