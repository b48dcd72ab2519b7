from __future__ import annotations

import pytest

from currents_core.books.account import Account, Counts
from currents_core.books.claim import Claim
from currents_core.books.index import Index
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.manifest import HourAccount, Manifest
from currents_core.errors import SetupError
from currents_core.finding.window import require_stream
from currents_core.hour import hours_back
from tests.tools.house import HOUR, OPEN, House, connector, table
from tests.tools.runs import Run

EARLIER = hours_back(HOUR, 6)
NEXT = "2026-11-23-09"


def test_each_run_delivers_what_is_open_in_its_window_its_own_hour_first() -> None:
    house = House(lookback_hours=3)
    Run(house, EARLIER[0]).play()
    files = {hour: house.put(OPEN, "a", table([hour]), hour=hour) for hour in (*EARLIER, HOUR)}
    run = Run(house, HOUR).play()
    assert [file.hour for shard in run.shards for file in shard.files] == [HOUR, *EARLIER[3:]]
    assert run.faults == []
    assert {file.id for hour in (*EARLIER[3:], HOUR) for file in [files[hour]]} == {
        found for hour in (*EARLIER, HOUR) for found in house.done(hour)
    }


def test_only_scheduled_runs_look_back() -> None:
    house = House(lookback_hours=3)
    Run(house, EARLIER[-1]).play()
    house.put(OPEN, "a", table(["late"]), hour=EARLIER[-1])
    house.put(OPEN, "a", table(["now"]))
    Run(house, HOUR, is_scheduled=False).play()
    assert house.ids().keys() == {"now"}
    Run(house, HOUR).play()
    assert house.ids().keys() == {"now", "late"}


def test_hours_before_the_first_run_are_left_to_backfills_unless_somebody_exported_them() -> None:
    house = House()
    for name, hour in (("asked for", EARLIER[0]), ("nobody's", EARLIER[1])):
        house.put(OPEN, "a", table([name]), hour=hour)
    Run(house, EARLIER[0], is_scheduled=False).play()
    assert house.ids().keys() == {"asked for"}
    house.put(OPEN, "b", table(["late"]), hour=EARLIER[0])
    run = Run(house, HOUR).play()
    assert house.ids().keys() == {"asked for", "late"}
    assert [(shard.mark, shard.is_past) for shard in run.shards] == [("backfill", True)]


def test_hours_that_an_earlier_version_exported_are_no_backfill() -> None:
    house = House()
    run = Run(house, EARLIER[2])
    empty = Manifest("test", EARLIER[2], HourAccount(0, Account(), []), {})
    run.manifests.write(run.manifests.draft(EARLIER[2], lambda _: empty), run.now)
    house.put(OPEN, "a", table(["late"]), hour=EARLIER[3])
    later = Run(house, HOUR).play()
    assert house.ids().keys() == {"late"}
    assert later.shards[0].mark == "live"


def test_hours_without_a_run_get_manifests_and_announcements_and_are_told_as_late_once() -> None:
    house = House()
    Run(house, EARLIER[0]).play()
    house.put(OPEN, "a", table(["missed"]), hour=EARLIER[2])
    run = Run(house, HOUR).play()
    assert run.entered.missed == EARLIER[1:]
    assert run.announced == [EARLIER[2]], "an hour without files is not announced"
    for hour in EARLIER:
        stored = run.manifests.read(hour)
        assert stored
        assert stored["complete"]
    again = Run(house, NEXT).play()
    assert (again.entered.missed, again.announced) == ([], [])


def test_an_hour_is_not_missed_before_its_deadline() -> None:
    house = House(notify={"deadline_minutes": 90})
    Run(house, EARLIER[0]).play()
    run = Run(house, HOUR, minutes=30).play()
    assert run.entered.missed == EARLIER[1:-1], "the last is late in no more than a minute"
    later = Run(house, NEXT, minutes=31).play()
    assert later.entered.missed == [], "by then it is accounted for"


def test_a_run_that_catches_up_misses_nothing() -> None:
    house = House()
    Run(house, EARLIER[0]).play()
    assert Run(house, EARLIER[-1], minutes=120).play().entered.missed == []
    assert Run(house, HOUR).play().entered.missed == [], "the run of before has accounted for what was in between"


def test_hours_that_leave_the_window_incomplete_are_told() -> None:
    house = House(lookback_hours=2)
    house.put(OPEN, "a", b"damaged", hour=EARLIER[0])
    assert Run(house, EARLIER[0]).play().faults
    run = Run(house, EARLIER[2]).play()
    assert (run.entered.left, run.faults) == ([], [])
    run = Run(house, EARLIER[3]).play()
    assert run.entered.left == [EARLIER[0]]
    assert Run(house, EARLIER[4]).play().entered.left == []


def test_an_old_run_that_is_cleared_leaves_no_hour_that_is_told_later() -> None:
    house = House(lookback_hours=2)
    for hour in EARLIER:
        Run(house, hour).play()
    next(Run(house, EARLIER[0]).steps())
    assert Run(house, HOUR).play().entered.left == []
    Run(house, EARLIER[0]).play()
    assert Run(house, NEXT).play().entered.left == []


def test_a_run_looks_back_at_no_day_whose_state_has_ended() -> None:
    house = House(lookback_hours=72)
    old, later = "2026-11-20-08", "2026-11-22-08"
    Run(house, old).play()
    Run(house, HOUR).play()
    house.put(OPEN, "a", table(["x"]), hour=later)
    house.ledger = Ledger(house.state, Layout(), crew=house.crew, first_date="2026-11-21")
    run = Run(house, later).play()
    assert run.faults == []
    assert house.ids().keys() == {"x"}
    with pytest.raises(SetupError, match=f"the state of {old} has ended"):
        Run(house, old).play()


def test_hours_that_no_window_reached_are_told() -> None:
    house = House(lookback_hours=2)
    Run(house, EARLIER[0]).play()
    assert Run(house, HOUR).play().entered.left == EARLIER[1:4]


def test_an_hour_by_hand_begins_no_hours_that_no_window_reached() -> None:
    house = House(lookback_hours=2)
    Run(house, EARLIER[0], is_scheduled=False).play()
    assert Run(house, HOUR).play().entered.left == []


def test_of_a_catch_up_only_hours_whose_runs_have_ended_are_told_as_left() -> None:
    house = House(lookback_hours=2, schedule={"catchup": True})
    house.put(OPEN, "a", b"damaged", hour=EARLIER[0])
    assert Run(house, EARLIER[0], minutes=600).play().faults
    next(Run(house, EARLIER[1], minutes=600).steps())
    # Airflow begins with the newest, and so has come to neither of the next two.
    assert Run(house, HOUR).play().entered.left == [EARLIER[0]]
    assert Run(house, NEXT).play().entered.left == []


def test_hours_that_no_window_reached_are_told_by_a_run_that_is_late_too() -> None:
    house = House(lookback_hours=2)
    Run(house, EARLIER[0]).play()
    assert Run(house, HOUR, minutes=180).play().entered.left == EARLIER[1:4]


def test_another_source_or_destination_is_refused_until_somebody_chooses() -> None:
    house = House()
    Run(house, EARLIER[0]).play()
    house.connector = connector(destination={"kind": "event_bus", "name": "other", "region": "us-east-1"})
    with pytest.raises(SetupError) as refused:
        Run(house, HOUR).play()
    told = (
        "the books in s3://state/index.json are of s3://braze/in/ → event_bus bus in us-east-1, but the connector now"
    )
    assert told in str(refused.value)
    assert "give it another state.prefix to begin new books, or trigger an export with `keep_books`" in str(
        refused.value
    )
    Run(house, HOUR, is_scheduled=False, params={"keep_books": True}).play()
    assert Run(house, HOUR).play().faults == []


def test_a_file_that_could_not_be_read_is_tried_again_once_the_settings_have_changed() -> None:
    house = House()
    house.put(OPEN, "a", b"damaged", hour=EARLIER[-1])
    Run(house, EARLIER[-1]).play()
    assert Run(house, HOUR).play().shards == []
    house.connector = connector(broken_properties="dead_letter")
    run = Run(house, NEXT).play()
    assert [file.hour for shard in run.shards for file in shard.files] == [EARLIER[-1]]
    assert run.faults[0].startswith(f"{EARLIER[-1]} is not complete, 1 open file: s3://braze/in/event_type={OPEN}/")
    assert Run(house, "2026-11-23-10").play().shards == []


def test_a_file_that_settings_may_have_mended_is_tried_until_a_run_has_read_it() -> None:
    house = House()
    house.put(OPEN, "a", b"damaged", hour=EARLIER[-1])
    Run(house, EARLIER[-1]).play()
    house.connector = connector(broken_properties="dead_letter")
    # Its deliveries fail by something else.
    for step in (run := Run(house, HOUR)).steps():
        if step == "planned":
            run.shards.clear()
    assert run.found.files
    assert Run(house, HOUR).play().found.files == run.found.files
    assert Run(house, NEXT).play().found.files == []


def test_a_slice_that_another_task_has_is_left_to_it_in_a_past_hour() -> None:
    house = House()
    file = house.put(OPEN, "a", table(["x"]), hour=EARLIER[-1])
    Run(house, EARLIER[-2]).play()
    claim = house.ledger.claim(file.slice, "another task")
    assert isinstance(claim, Claim)
    house.crew.meanwhile = claim.swap
    run = Run(house, HOUR).play()
    assert (run.faults, house.ids(), house.crew.slept) == ([], {}, 1.0), "it was seen to be alive"
    house.crew.meanwhile = lambda: None
    stored = run.manifests.read(EARLIER[-1])
    assert stored
    assert not stored["complete"]
    claim.swap(release=True)
    Run(house, NEXT).play()
    assert house.ids() == {"x": 1}
    assert Index() != run.index.read()
    assert house.account(EARLIER[-1]).totals == Counts(read=1, sent=1)


def test_new_books_are_of_the_stream_of_the_first_plan_before_anything_is_sent() -> None:
    """Settings may change between two tries of a run."""
    house = House()
    first = Run(house, HOUR, is_scheduled=False)
    next(first.steps())
    changed = house.connector.model_copy(
        update={"destination": house.connector.destination.model_copy(update={"name": "another"})}
    )
    with pytest.raises(SetupError, match="give it another"):
        require_stream(first.index.read(), changed, "s3://state/index.json")
    require_stream(first.index.read(), house.connector, "s3://state/index.json")
    assert first.index.read() == first.entered.index
    assert house.ids() == {}
