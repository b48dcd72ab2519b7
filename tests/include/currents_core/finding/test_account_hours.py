from __future__ import annotations

from collections.abc import Generator, Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from currents_core.books.index import Index
from currents_core.file_key import SourceFile, by_slice, fingerprint
from currents_core.finding.account_hours import account_of
from currents_core.finding.find_files import find_files
from currents_core.hour import hours_back
from currents_core.ports import StoredObject
from tests.tools.house import HOUR, OPEN, PURCHASE, House, connector, table
from tests.tools.runs import Run

HOURS = [*hours_back(HOUR, 7), HOUR]
DAMAGED = b"damaged"


def test_an_hour_of_which_nothing_is_new_is_told_from_its_manifest() -> None:
    house = House()
    house.put(OPEN, "a", table(["x"]))
    Run(house, HOUR).play()
    before = house.state.contents[f"manifests/date={HOUR}.json"]
    again = Run(house, HOUR).play()
    assert (again.found.hours, again.shards, again.announced) == ([], [], [])
    assert house.state.contents[f"manifests/date={HOUR}.json"] == before


def test_an_hour_that_is_still_to_be_announced_is_accounted_for_again() -> None:
    house = House()
    house.put(OPEN, "a", table(["x"]))
    for step in (steps := (killed := Run(house, HOUR)).steps()):
        if step == "remembered":
            steps.close()
    assert killed.announced == []
    assert Run(house, HOUR).play().announced == [HOUR]
    assert Run(house, HOUR).play().announced == []


def test_a_late_file_is_found_by_its_slice_alone() -> None:
    house = House()
    house.put(PURCHASE, "a", table(["p"]), hour=HOURS[-2])
    house.put(OPEN, "a", table(["x"]), hour=HOURS[-2])
    Run(house, HOURS[-2]).play()
    late = house.put(OPEN, "b", table(["late"]), hour=HOURS[-2])
    run = Run(house, HOUR).play()
    assert run.found.work == {late.slice: [late]}
    assert list(run.found.judged) == [late.slice]
    assert run.announced == [HOURS[-2]], "with more than was told before"


def test_what_a_trial_left_is_open() -> None:
    house = House()
    files = [house.put(OPEN, name, table([name]), hour=HOURS[-2]) for name in "ab"]
    Run(house, HOURS[-2], is_scheduled=False, params={"max_events": 1}).play()
    assert len(house.ids()) == 1
    assert Run(house, HOUR).play().found.work == {files[0].slice: [files[1]]}
    assert house.ids() == {"a": 1, "b": 1}


def test_a_run_for_some_event_types_calls_no_hour_complete_while_others_are_open() -> None:
    house = House()
    house.put(OPEN, "a", table(["open"]))
    unnamed = table(["unnamed"], event_type=["other.Type"])
    left = [house.put(PURCHASE, "b", table(["p"])), house.put(None, "c", unnamed)]

    def narrow() -> Run:
        return Run(house, HOUR, is_scheduled=False, params={"event_types": [OPEN]}).play()

    run = narrow()
    assert house.ids() == {"open": 1}
    assert (run.faults, run.announced) == ([], []), "it has done what it was asked for"
    stored = run.manifests.read(HOUR)
    assert stored
    why = "not delivered; the run was for other event types"
    assert stored["files"]["open"] == {file.key: f"{file.uri}: {why}" for file in left}
    assert narrow().announced == []
    assert Run(house, HOUR).play().announced == [HOUR], "the rest comes with the run of the hour"
    assert len(house.ids()) == 3
    assert narrow().found.untried == []


def test_a_run_for_some_event_types_erases_no_fault_of_others() -> None:
    house = House()
    house.put(OPEN, "a", table(["open"]))
    damaged = house.put(PURCHASE, "b", DAMAGED)
    assert Run(house, HOUR).play().faults
    house.put(OPEN, "late", table(["late"]))
    run = Run(house, HOUR, params={"event_types": [OPEN]}, is_scheduled=False).play()
    stored = run.manifests.read(HOUR)
    assert stored
    assert list(stored["files"]["open"]) == [damaged.key]


def test_a_run_for_some_event_types_fails_where_one_of_its_own_files_does() -> None:
    house = House()
    damaged = house.put(OPEN, "a", DAMAGED)
    house.put(PURCHASE, "b", table(["p"]))
    [fault] = Run(house, HOUR, params={"event_types": [OPEN]}, is_scheduled=False).play().faults
    assert "1 open file: " in fault
    assert damaged.uri in fault


def test_a_failed_file_of_an_event_type_that_was_excluded_since_is_planned_no_more() -> None:
    house = House()
    house.put(OPEN, "a", DAMAGED)
    assert Run(house, HOUR).play().faults
    house.connector = connector(event_types={"exclude": [OPEN]})
    run = Run(house, HOUR).play()
    assert (run.found.work, run.faults) == ({}, [])


def test_a_past_hour_does_not_wait_for_an_event_type_that_was_excluded_since() -> None:
    house = House()
    house.put(OPEN, "a", DAMAGED, hour=HOURS[-2])
    assert Run(house, HOURS[-2]).play().faults
    house.connector = connector(event_types={"exclude": [OPEN]})
    run = Run(house, HOUR).play()
    stored = run.manifests.read(HOURS[-2])
    assert stored
    assert stored["complete"]
    assert HOURS[-2] not in Run(house, HOUR).play().found.hours, "once is enough"


def test_a_past_hour_does_not_wait_for_a_file_that_was_removed_before_anybody_began_it() -> None:
    house = House()
    house.put(OPEN, "a", table(["x"]), hour=HOURS[-2])
    left = house.put(PURCHASE, "b", table(["p"]), hour=HOURS[-2])
    Run(house, HOURS[-2], is_scheduled=False, params={"event_types": [OPEN]}).play()
    house.source.delete(left.key)
    assert Run(house, HOUR).play().announced == [HOURS[-2]]


def test_excluded_files_below_the_hour_are_not_waited_for() -> None:
    house = House(event_types={"exclude": [OPEN]})
    house.put(None, f"event_type={OPEN}/a", table(["x"]))
    house.put(None, f"event_type={PURCHASE}/b", table(["p"], event_type=[PURCHASE]))
    run = Run(house, HOUR).play()
    assert (run.faults, run.announced, run.found.untried) == ([], [HOUR], [])
    assert house.ids() == {"p": 1}


@pytest.mark.parametrize("name", ["late", "a"], ids=["another file", "a newer version"])
def test_what_a_later_look_found_stays_open_and_fails_no_run_that_looked_before(name: str) -> None:
    house = House()
    house.put(OPEN, "a", table(["x"]))
    for step in (steps := (first := Run(house, HOUR)).steps()):
        if step == "delivered":
            break
    late = house.put(OPEN, name, table(["late"]))
    Run(house, HOUR, is_scheduled=False, params={"event_types": [PURCHASE]}).play()
    assert list(steps), "it goes on"
    stored = first.manifests.read(HOUR)
    assert stored
    assert list(stored["files"]["open"]) == [late.key]
    assert (first.faults, first.announced) == ([], [])
    assert Run(house, HOUR).play().announced == [HOUR]


def test_an_older_run_forgets_nothing_that_a_newer_one_noted() -> None:
    house = House()
    house.put(OPEN, "a", table(["x"]), hour=HOURS[-2])
    for step in (steps := Run(house, HOURS[-2]).steps()):
        if step == "written":
            break
    damaged = house.put(OPEN, "b", DAMAGED, hour=HOURS[-2])
    assert Run(house, HOURS[-2], is_scheduled=False).play().faults
    assert list(steps), "it goes on"
    house.source.delete(damaged.key)
    stored = Run(house, HOUR).play().manifests.read(HOURS[-2])
    assert stored
    assert stored["complete"]


def test_the_files_of_an_hour_that_was_left_open_are_looked_for_by_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    for number in range(20):
        house.put(OPEN, f"{number}", table([f"x{number}"]))
    Run(house, HOUR, is_scheduled=False, params={"max_events": 1}).play()
    listings, objects = [], house.source.objects

    def listing(prefix: str, after: str = "") -> Iterator[StoredObject]:
        listings.append(prefix)
        return objects(prefix, after)

    monkeypatch.setattr(house.source, "objects", listing)
    for step in (run := Run(house, HOUR)).steps():
        if step == "delivered":
            listings.clear()
    assert listings == [f"in/event_type={OPEN}/"]
    assert run.announced == [HOUR]


def test_nobody_waits_for_what_is_below_another_prefix_than_the_connectors() -> None:
    house = House()
    before = {"files": {"open": {house.put(OPEN, "a", table(["x"])).key: "not delivered"}}}
    assert not account_of(house.connector, HOUR, house.ledger, house.source, before).complete
    elsewhere = connector(source={"bucket": "braze", "prefix": "new"})
    assert account_of(elsewhere, HOUR, house.ledger, house.source, before).complete


def test_a_damaged_file_that_was_removed_is_gone_from_the_books_with_the_next_run() -> None:
    house = House()
    damaged = house.put(OPEN, "a", DAMAGED, hour=HOURS[-2])
    Run(house, HOURS[-2]).play()
    house.source.delete(damaged.key)
    run = Run(house, HOUR).play()
    assert run.found.work == {damaged.slice: []}
    assert house.states(HOURS[-2])[damaged.id].fate == "gone"
    stored = run.manifests.read(HOURS[-2])
    assert stored
    assert stored["complete"]


class Story:
    """Runs of a connector that overlap, die and are missed, while files come, are damaged, replaced and removed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.house = House(lookback_hours=4)
        self.active: list[Generator[str, None, None]] = []
        self.files: dict[str, SourceFile] = {}
        self.names = 0

    def play(self) -> None:
        for number in range(len(HOURS)):
            for _ in range(self.random.randint(0, 6)):
                self._happen(HOURS[: number + 1])
            if number == 0 or self.random.random() < 0.7:
                self.active.append(Run(self.house, HOURS[number]).steps())
        for steps in self.active:
            steps.close()

    def _happen(self, hours: list[str]) -> None:
        often, seldom = ("put", "step"), ("change", "remove", "kill", "by hand", "trial", "narrow")
        what = self.random.choice((*often * 3, *seldom))
        if what == "put":
            self._put(self.random.choice(hours), f"f{self.names}")
        elif what == "change" and self.files:
            key = self.random.choice([*self.files])
            self._put(self.files[key].hour, key.rpartition("/")[2], self.files[key].event_type)
        elif what == "remove" and self.files:
            self.house.source.delete(self.files.pop(self.random.choice([*self.files])).key)
        elif what == "step" and self.active:
            steps = self.random.choice(self.active)
            if next(steps, None) is None:
                self.active.remove(steps)
        elif what == "kill" and self.active:
            self.active.pop(self.random.randrange(len(self.active))).close()
        elif what in {"by hand", "trial", "narrow"}:
            params: dict[str, Any] = {"max_events": 1} if what == "trial" else {}
            params |= {"event_types": [OPEN]} if what == "narrow" else {}
            self.active.append(Run(self.house, self.random.choice(hours), is_scheduled=False, params=params).steps())

    def _put(self, hour: str, name: str, event_type: str | None = None) -> None:
        self.names += 1
        body = DAMAGED if self.random.random() < 0.2 else table([f"id{self.names}"])
        file = self.house.put(event_type or self.random.choice((OPEN, PURCHASE)), name, body, hour=hour)
        self.files[file.key] = file


def check(story: Story, index: Index) -> None:
    """What the index calls settled is done, and all of the window is done that can be read."""
    house = story.house
    listed = by_slice(find_files(house.source, "in/", HOURS, lambda _: True))
    for place, files in listed.items():
        fates = {state.file.id: state.fate for state in house.states(place.hour).values()}
        if index.settled.get(place) == fingerprint(files):
            assert {fates.get(file.id) for file in files} == {"done"}, place
        for file in files if place.hour in HOURS[-5:] and place.hour >= index.first else ():
            is_damaged = house.source.contents[file.key] == DAMAGED
            assert fates.get(file.id) == ("failed" if is_damaged else "done"), file.key
    ids = {file.id for files in listed.values() for file in files}
    for hour in (each for each in HOURS[-5:] if index.looks_at(each)):
        left = {file_id for file_id, state in house.states(hour).items() if state.fate in {"open", "failed"}}
        assert left <= ids, "what is no longer there is not open"
    assert max(house.ids().values(), default=1) == 1


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_whatever_happens_the_next_run_finds_all_that_is_open_and_the_books_are_true(seed: int) -> None:
    story = Story(seed)
    story.play()
    last = Run(story.house, HOUR).play()
    index = last.index.read()
    assert index
    check(story, index)
    for hour in HOURS[-5:]:
        stored = last.manifests.read(hour)
        is_open = any(state.fate in {"open", "failed"} for state in story.house.states(hour).values())
        if index.looks_at(hour):
            assert stored
            assert stored["complete"] == (not is_open), hour
            assert stored["totals"]["sent"] == story.house.account(hour).totals.sent
