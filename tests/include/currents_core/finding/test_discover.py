from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from currents_aws.memory import MemoryObjects
from currents_core.books.account import Account
from currents_core.books.head import Head
from currents_core.books.index import Index
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.pages import PageMissingError
from currents_core.errors import SetupError
from currents_core.file_key import Slice, SourceFile
from currents_core.finding.discover import look, with_letters
from currents_core.ports import Invalid, ObjectStore
from currents_core.setup.run_request import RunRequest, run_request
from currents_core.setup.settings import Connector
from tests.tools.house import House, connector, settle, table

HOUR, BEFORE = "2026-11-23-08", "2026-11-23-07"
OPEN, CLICK = "users.messages.email.Open", "users.messages.email.Click"


def store(*keys: str) -> MemoryObjects:
    return MemoryObjects("braze", {key: key.encode() for key in keys})


def files_of(work: Mapping[Slice, Sequence[SourceFile]]) -> list[SourceFile]:
    return [file for files in work.values() for file in files]


def asked(hour: str, **settings: Any) -> RunRequest:
    return run_request({}, hour, connector(**settings), is_scheduled=True)


# The hours of these tests are no backfill, and their settings never change.
LIVE = Index(first="2026-01-01-00")


def undelivered(
    settings: Connector, source: ObjectStore, ledger: Ledger, request: RunRequest, index: Index = LIVE
) -> Mapping[Slice, Sequence[SourceFile]]:
    return look(settings, source, ledger, request, index).work


def test_what_the_ledger_holds_is_not_found_again_and_late_files_are() -> None:
    source = store(*(f"in/event_type={OPEN}/date={hour}/{name}" for hour in (HOUR, BEFORE) for name in "ab"))
    ledger = Ledger(MemoryObjects("state"), Layout())
    settings = connector()
    done, *rest = files_of(undelivered(settings, source, ledger, asked(HOUR)))
    assert len(rest) == 3
    settle(ledger, done, Account())
    assert files_of(undelivered(settings, source, ledger, asked(HOUR))) == rest


def test_a_damaged_file_is_tried_again_by_its_own_hour_only() -> None:
    source = store(f"in/event_type={OPEN}/date={BEFORE}/damaged")
    ledger = Ledger(MemoryObjects("state"), Layout())
    [damaged] = files_of(undelivered(connector(), source, ledger, asked(HOUR)))
    settle(ledger, damaged, Account(), fate="failed", reason="unreadable")
    assert undelivered(connector(), source, ledger, asked(HOUR)) == {}
    assert files_of(undelivered(connector(), source, ledger, asked(BEFORE))) == [damaged]
    source.write(damaged.key, b"mended")
    assert [file.key for file in files_of(undelivered(connector(), source, ledger, asked(HOUR)))] == [damaged.key]


@pytest.mark.parametrize("hour", [HOUR, BEFORE])
def test_a_slice_whose_damaged_file_was_removed_is_open_until_somebody_looked_at_it(hour: str) -> None:
    source, ledger = store(f"in/event_type={OPEN}/date={BEFORE}/a"), Ledger(MemoryObjects("state"), Layout())
    [damaged] = files_of(undelivered(connector(), source, ledger, asked(HOUR)))
    settle(ledger, damaged, Account(), fate="failed", reason="unreadable")
    source.delete(damaged.key)
    assert undelivered(connector(), source, ledger, asked(hour)) == {damaged.slice: []}
    settle(ledger, damaged, Account(), fate="gone")
    assert undelivered(connector(), source, ledger, asked(hour)) == {}


def test_the_lookback_is_the_connectors() -> None:
    source = store(f"in/event_type={OPEN}/date={BEFORE}/a")
    none, ledger = connector(lookback_hours=0), Ledger(MemoryObjects(), Layout())
    assert undelivered(none, source, ledger, asked(HOUR, lookback_hours=0)) == {}


def test_a_file_that_changed_since_it_was_delivered_is_told(caplog: pytest.LogCaptureFixture) -> None:
    source = store(f"in/event_type={OPEN}/date={HOUR}/a", f"in/event_type={OPEN}/date={HOUR}/b")
    ledger = Ledger(MemoryObjects("state"), Layout())
    for file in files_of(undelivered(connector(), source, ledger, asked(HOUR))):
        settle(ledger, file, Account())
    source.write(f"in/event_type={OPEN}/date={HOUR}/b", b"written again")
    [again] = files_of(undelivered(connector(), source, ledger, asked(HOUR)))
    assert again.key.endswith("/b")
    assert caplog.messages == [f"{again.uri} has changed since it was delivered; its new rows will be sent"]


def test_an_event_type_that_is_not_exported_can_not_be_asked_for() -> None:
    source, ledger = store(f"in/event_type=braze.new.Type/date={HOUR}/a"), Ledger(MemoryObjects(), Layout())

    def ask(event_type: str, **settings: Any) -> list[SourceFile]:
        request = RunRequest((HOUR,), event_types=(event_type,))
        return files_of(undelivered(connector(**settings), source, ledger, request))

    assert len(ask("braze.new.Type")) == 1, "Braze may write what it does not document"
    assert ask(OPEN) == [], "and an hour may lack what it does"
    for event_type, settings in (("braze.new.Typo", {}), (OPEN, {"event_types": {"exclude": [OPEN]}})):
        with pytest.raises(SetupError, match=f"exports no event type {event_type}"):
            ask(event_type, **settings)


def test_event_types_that_are_asked_for_take_no_file_that_may_hold_others(caplog: pytest.LogCaptureFixture) -> None:
    source = store(f"in/event_type={OPEN}/date={HOUR}/a", f"in/event_type=other/date={HOUR}/b", f"in/date={HOUR}/c")
    request = RunRequest((HOUR,), event_types=("users.messages.*",))
    found = undelivered(connector(), source, Ledger(MemoryObjects(), Layout()), request)
    assert [file.key for file in files_of(found)] == [f"in/event_type={OPEN}/date={HOUR}/a"]
    assert caplog.messages == ["left out 1 file whose event type no folder names"]


def test_letters_are_counted_though_another_redrive_merges_their_pages_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house, heads = House(), Ledger.heads
    house.target.answer = lambda _: Invalid("no", "no")
    files = [house.put(OPEN, name, table([name])) for name in "ab"]
    for file in files:
        house.deliver(file)
    work, _ = with_letters(house.ledger, [HOUR], lambda _: True)

    def and_then_another(ledger: Ledger, hour: str) -> list[Head]:
        found = heads(ledger, hour)
        house.delivery(wants_letter=lambda _: True).deliver(work)
        return found

    monkeypatch.setattr(Ledger, "heads", and_then_another)
    again, counts = with_letters(house.ledger, [HOUR], lambda _: True)
    assert (again, counts) == (work, {files[0].slice: 2})


def test_letters_that_are_lost_are_told_by_the_name_of_their_page() -> None:
    house = House()
    house.target.answer = lambda _: Invalid("no", "no")
    house.deliver(house.put(OPEN, "a", table(["x"])))
    [page] = [key for key in house.state.contents if key.endswith(".letters")]
    house.state.delete(page)
    with pytest.raises(PageMissingError, match=f"s3://state/{page}: this part of the state is missing"):
        with_letters(house.ledger, [HOUR], lambda _: True)
