from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from currents_airflow.__main__ import main
from currents_airflow.cli import look
from currents_airflow.cli.find import days
from currents_core.books.find_id import IdSearch
from currents_core.books.layout import Layout
from currents_core.books.ledger import Ledger
from currents_core.books.overviews import Overviews
from currents_core.books.run_record import RunPass, RunRecord
from currents_core.delivering.look_up import Judged
from currents_core.errors import SetupError
from currents_core.ports import Invalid
from tests.plugins.currents_airflow.cli.conftest import HOUR, NOW, Told, put
from tests.tools.house import HOUR as HOUSE_HOUR
from tests.tools.house import OPEN, House, table


def test_an_event_is_found_in_a_month_or_on_its_day(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["find", "y"], ["find", "y", "--day", HOUR[:10]]):
        main(words)
        place = f"{OPEN} of {HOUR}, {told.folder}/a.parquet row 1"
        assert capsys.readouterr().out == f"orders: accepted; {place}; by scheduled__1, {NOW.isoformat()}\n"


def test_programs_get_json(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    main(["find", "--json", "--", "x"])
    [found] = json.loads(capsys.readouterr().out)
    assert [(each["fate"], each["row"]) for each in found["places"]] == [("accepted", 0)]


def test_what_a_replay_sent_again_is_told_with_the_replay(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    layout, house = Layout("state/orders/"), told.house
    again = RunRecord("manual__again", "replay", NOW.isoformat(), "ada", "the consumer lost it")
    Overviews(told.store, layout).note_replay([HOUR], RunPass(again))
    house.ledger = Ledger(told.store, layout.of_run(again.run))
    house.deliver(put(told.store, "a.parquet", table(["x", "y"], user_id=["u", "u"])))
    main(["find", "y"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("orders: accepted; ")
    assert second.startswith("orders: accepted in a replay; ")
    assert second.endswith(f"; by manual__again, {NOW.isoformat()}")


def test_one_that_no_books_have_ends_with_1(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(["find", "nobody"])
    assert "neither accepted nor a dead letter" in capsys.readouterr().out


LOOK = ["--day", HOUR[:10], "--source"]


def test_the_source_tells_which_rows_were_filtered_or_duplicates(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["find", "nobody's", *LOOK])
    assert capsys.readouterr().out.splitlines() == [
        f"orders: neither accepted nor a dead letter in the hours of {HOUR[:10]}",
        f"orders: filtered, under today's settings; {OPEN} of {HOUR}, {told.folder}/a.parquet row 4",
        f"orders: looked into 1 of 1 files of {HOUR[:10]}",
    ]
    main(["find", "x", *LOOK, "--json"])
    [found] = json.loads(capsys.readouterr().out)
    assert [(each["fate"], each["row"]) for each in found["places"]] == [("accepted", 0)]
    assert [(each["fate"], each["row"]) for each in found["source"]["rows"]] == [("duplicate", 3)]


def test_what_is_not_delivered_yet_is_told_apart_from_what_is_not_there(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    put(told.store, "b.parquet", table(["new"]))
    told.store.write(f"in/event_type={OPEN}/date={HOUR}/c.parquet", b"no file at all")
    main(["find", "new", *LOOK])
    text = capsys.readouterr().out
    assert f"orders: not delivered yet, under today's settings; {OPEN} of {HOUR}" in text
    assert "looked into 3 of 3 files" in text
    assert "c.parquet: neither a Parquet nor an Avro file" in text
    with pytest.raises(SystemExit, match="1"):
        main(["find", "nowhere", *LOOK])
    assert "files of " + HOUR[:10] + ": no row with this id" in capsys.readouterr().out


def test_a_look_ends_in_time_and_says_how_far_it_got(
    told: Told, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(look, "_SECONDS", -1.0)
        main(["find", "x", *LOOK])
    assert "looked into 0 of 1 files" in capsys.readouterr().out
    main(["find", "x", *LOOK, "--event-type", "users.messages.sms.Delivery"])
    assert "looked into 0 of 0 files" in capsys.readouterr().out


def test_a_look_is_for_one_day(told: Told) -> None:
    with pytest.raises(SystemExit, match="say which with --day"):
        main(["find", "x", "--source"])


def test_days_are_the_last_31_the_newest_first_or_the_one_that_is_asked_for() -> None:
    now = datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert (days(None, now)[0], days(None, now)[-1], len(days(None, now))) == ("2026-11-23", "2026-10-24", 31)
    assert days("2026-11-01", now) == ["2026-11-01"]
    for wrong in ("yesterday", "2026-13-01", "20261101", ""):
        with pytest.raises(SetupError, match="is no day"):
            days(wrong, now)


def test_a_duplicate_of_a_dead_letter_is_told_as_one() -> None:
    house = House()
    house.target.answer = lambda _: Invalid("AccessDeniedException", "no")
    file = house.put(OPEN, "a.parquet", table(["x", "x"]))
    house.deliver(file)
    known = IdSearch(house.state, house.ledger.layout, house.ledger, "x").on(HOUSE_HOUR[:10])
    [other] = {0, 1} - {place.row for place in known}
    parts = cast(Any, SimpleNamespace(connector=house.connector, ledger=house.ledger))
    assert look._fate(Judged(file, other, "to send"), parts, known) == "duplicate of a dead letter"
