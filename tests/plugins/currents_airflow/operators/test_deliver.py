from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Timer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from currents_airflow.operators.deliver import CurrentsToEventBridgeOperator
from currents_airflow.operators.plan import at_least_one
from currents_aws.dry_run import DryRunTarget
from currents_aws.memory import MemoryTarget
from currents_core.books.index import IndexObject
from currents_core.books.layout import Layout
from currents_core.entry import Entry, Span
from currents_core.errors import CurrentsError, DeliveryError, SetupError, StoppedError
from currents_core.file_key import by_slice
from currents_core.finding.shard import Shard
from currents_core.limits import EVENT_BUS
from currents_core.mode import Mode
from currents_core.ports import SENT, Completion, Result
from currents_core.setup.run_request import run_request
from tests.tools.house import HOUR, OPEN, House, table


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    """The operator freezes what its process has loaded; this process has other tests to run."""
    yield
    gc.unfreeze()


@dataclass
class Step:
    """The operator over a house in memory, with a plan of the files."""

    house: House
    files: tuple[Any, ...]
    options: dict[str, Any]

    def __post_init__(self) -> None:
        self.operator = CurrentsToEventBridgeOperator(
            task_id="deliver", connector="test", shard={"key": "k", "label": "files", "look": "l"}, **self.options
        )

    def shard(self, mark: Mode) -> Shard:
        return Shard({place: tuple(files) for place, files in by_slice(self.files).items()}, mark)

    def run(self, run_type: str = "scheduled", **params: Any) -> Any:
        house = self.house
        request = run_request(params, HOUR, house.connector, is_backfill=run_type == "backfill")
        parts = SimpleNamespace(
            connector=house.connector,
            request=request,
            source=house.source,
            target=DryRunTarget(EVENT_BUS) if request.is_dry else house.target,
            ledger=house.ledger,
            state=house.state,
            hours=Layout("demo/"),
            index=IndexObject(house.state, Layout("demo/")),
            personal_data=house.personal_data,
            addresses=lambda prefix: {"Source files": prefix},
            plans=SimpleNamespace(read=lambda key: self.shard(request.mark).as_json()),
        )
        task = SimpleNamespace(dag_id="d", run_id="r", task_id="deliver", map_index=3, try_number=2)
        context: Any = {"dag_run": SimpleNamespace(run_type=run_type, clear_number=2), "ti": task}
        return self.operator.run_step(context, cast(Any, parts))


def test_a_task_that_is_cleared_after_the_destination_changed_sends_nothing() -> None:
    """What the books call sent went somewhere else."""
    house = House()
    step = operator(house, house.put(OPEN, "a.parquet", table(["x"])))
    books = IndexObject(house.state, Layout("demo/"))
    books.change(lambda index: replace(index, stream=house.connector.stream.replace("bus", "other")))
    with pytest.raises(SetupError, match=r"the books in .* are of .*; give it another state.prefix"):
        step.run()
    assert not house.target.accepted
    assert step.run("manual", keep_books=True)["rows"]["sent"] == 1


@pytest.mark.parametrize("approved", [[None], ["another look"], []])
def test_what_nobody_approved_of_is_not_sent(approved: list[str | None]) -> None:
    """`approve` was marked as a success, or the run was planned again without it."""
    house = House()
    step = operator(house, house.put(OPEN, "a.parquet", table(["x"])), approved=approved)
    with pytest.raises(DeliveryError, match="nobody approved of what is planned now; nothing was sent"):
        step.run("manual", replay=True, reason="again")
    assert not house.target.accepted


@pytest.mark.parametrize("approved", [["l"], None])
def test_what_was_approved_of_is_sent(approved: list[str] | None) -> None:
    house = House()
    step = operator(house, house.put(OPEN, "a.parquet", table(["x"])), approved=approved)
    assert step.run("manual", replay=True, reason="again")["rows"]["sent"] == 1


@pytest.mark.parametrize("run_type", ["scheduled", "backfill", "manual"])
def test_an_hour_needs_no_approval(run_type: str) -> None:
    """An earlier version's `approve` returned nothing, and a run that is on has none before somebody wants it."""
    house = House()
    step = operator(house, house.put(OPEN, "a.parquet", table(["x"])), approved=[None])
    assert step.run(run_type)["rows"]["sent"] == 1


def operator(house: House, *files: Any, **options: Any) -> Step:
    return Step(house, files, options)


@pytest.mark.parametrize(
    ("run_type", "settings", "marking"),
    [
        ("scheduled", {}, None),
        ("manual", {}, None),
        ("backfill", {}, {"mode": "backfill"}),
        ("backfill", {"mark_backfills": False}, None),
    ],
)
def test_events_of_a_backfill_say_so_unless_told_otherwise(
    run_type: str, settings: dict[str, Any], marking: dict[str, str] | None
) -> None:
    house = House(**settings)
    file = house.put(OPEN, "a.parquet", table(["x"]))
    assert operator(house, file).run(run_type)["rows"]["sent"] == 1
    [entry] = house.target.accepted
    assert json.loads(entry.detail).get("currents_export") == marking


def test_a_claim_names_the_task_and_its_try() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    owners = []

    def answer(_: Entry) -> Result:
        head = house.ledger.head(file.slice)
        owners.append(head and head.owner)
        return SENT

    house.target.answer = answer
    operator(house, file).run()
    assert owners == ["d r deliver[3] try 2"]


@pytest.mark.parametrize(
    ("params", "told"),
    [({}, ["250000-250000"]), ({"pace": 50}, ["125000-125000"]), ({"dry_run": True}, [])],
)
def test_a_task_has_the_part_of_the_budget_that_its_slots_are_worth(params: dict[str, Any], told: list[str]) -> None:
    house = House(budget={"requests_per_second": 400, "slots": 6, "backfill_slots": 2})
    file = house.put(OPEN, "a.parquet", table(["x"]))
    found: set[str] = set()

    def answer(_: Entry) -> Result:
        found.update(key.split("-", 2)[2] for key in house.state.contents if key.startswith("demo/budget/"))
        return SENT

    house.target.answer = answer
    operator(house, file, pool_slots=2).run(**params)
    assert sorted(found) == told


def test_killing_the_task_ends_the_delivery_in_good_order_and_a_rerun_completes_it() -> None:
    house = House(budget={"requests_per_second": 50, "slots": 1})
    file = house.put(OPEN, "a.parquet", table([f"{row}" for row in range(2_000)]))
    killed = operator(house, file)

    def answer(_: Entry) -> Result:
        if len(house.target.accepted) == 100:
            Timer(0, killed.operator.on_kill).start()
        return SENT

    house.target.answer = answer
    with pytest.raises(StoppedError, match="told to stop; clear the task to resume"):
        killed.run()
    assert 0 < len(house.target.accepted) < 2_000
    house.connector = House().connector
    operator(house, file).run()
    assert house.ids().total() == len(house.ids()) == 2_000


@pytest.mark.parametrize(("within", "is_saved"), [(1.0, False), (20.0, True)])
def test_a_task_that_has_to_end_waits_for_answers_as_long_as_it_may(
    monkeypatch: pytest.MonkeyPatch, within: float, is_saved: bool
) -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    ending, send = operator(house, file), house.target.send

    def send_and_answer_late(chunk: Sequence[Span], complete: Completion) -> None:
        send(chunk, lambda results: Timer(2, complete, [results]).start())
        ending.operator.end_within(within)

    monkeypatch.setattr(house.target, "send", send_and_answer_late)
    with pytest.raises(StoppedError, match="told to stop"):
        ending.run()
    monkeypatch.undo()
    operator(house, file).run()
    assert house.ids()["x"] == (1 if is_saved else 2)


def test_a_task_that_is_killed_before_it_has_begun_sends_nothing() -> None:
    house = House()
    file = house.put(OPEN, "a.parquet", table(["x"]))
    killed = operator(house, file)
    killed.operator.on_kill()
    with pytest.raises(StoppedError, match="told to stop"):
        killed.run()
    assert house.target.accepted == []
    assert operator(house, file).run()["rows"]["sent"] == 1


@pytest.mark.parametrize("is_dry", [False, True])
def test_an_empty_plan_is_done_at_once_and_asks_nobody(is_dry: bool, capsys: pytest.CaptureFixture[str]) -> None:
    [plan] = at_least_one([], "look")
    empty = CurrentsToEventBridgeOperator(task_id="deliver", connector="test", shard=plan)
    parts: Any = SimpleNamespace(request=SimpleNamespace(is_dry=is_dry))
    assert empty.run_step(cast(Any, {}), parts) is None
    assert "nothing to deliver" in capsys.readouterr().out


def test_the_target_is_closed_whatever_happens() -> None:
    class Closing(MemoryTarget):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    def broken(_entry: object) -> Result:
        raise KeyError("x")

    for answer in (lambda _entry: SENT, broken):
        house = House(target := Closing(answer=answer))
        delivering = operator(house, house.put(OPEN, "a.parquet", table(["x"])))
        if answer is broken:
            with pytest.raises(CurrentsError, match=r"KeyError\(.x.\); please report"):
                delivering.run()
        else:
            delivering.run()
        assert target.closed == 1


def test_a_replay_says_so_in_its_events() -> None:
    house = House()
    operator(house, house.put(OPEN, "a.parquet", table(["x"]))).run(replay=True, reason="lost by the consumer")
    [entry] = house.target.accepted
    assert json.loads(entry.detail)["currents_export"] == {"mode": "replay"}


def test_the_pace_that_is_asked_for_is_a_part_of_the_share() -> None:
    house = House(budget={"requests_per_second": 100, "slots": 1})
    file = house.put(OPEN, "a.parquet", table([f"{row}" for row in range(200)]))
    began = time.monotonic()
    operator(house, file).run(pace=50)
    assert time.monotonic() - began > 0.2


def test_a_dry_run_forecasts_what_sending_comes_to() -> None:
    house = House()
    rows = table(["x", None, "x", "z"], user_id=["anna"] * 4, device_model=["phone"] * 4)
    found = operator(house, house.put(OPEN, "a.parquet", rows)).run(dry_run=True)
    assert house.target.accepted == []
    assert (found["events"], found["requests"], found["billed"]) == (2, 1, 2)
    assert found["dead_letters"] == {"no_id": 1}
    assert found["account"]["totals"] == {"read": 4, "sent": 2, "duplicate": 1, "filtered": 0, "dead_lettered": 1}
    assert [sample["user"] for sample in found["samples"]] == [{"user_id": "[REDACTED]"}] * 2
    assert found["samples"][0]["properties"]["device_model"] == "phone"
