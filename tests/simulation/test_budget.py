"""Whether tasks that share a budget keep within it whatever happens, and use all of it where nothing does."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from currents_core.books.layout import Member, member_of
from currents_core.delivering import divide, share
from currents_core.delivering.divide import GONE_SECONDS
from currents_core.delivering.share import VALID_SECONDS, Share
from tests.simulation.budget import BUDGET, LAYOUT, SLOTS, Task, World, play

PARTS, SEEDS = 8, 15
# Requests in one second.
MOST = 1.05 * BUDGET


@pytest.fixture
def world() -> World:
    return World(Random(1))


def busy(seconds: float) -> Callable[[], float]:
    return lambda: seconds


@pytest.mark.parametrize("part", range(PARTS))
def test_the_sum_stays_within_a_twentieth_of_the_budget_in_every_second_of_every_history(part: int) -> None:
    seeds = range(part * SEEDS, (part + 1) * SEEDS)
    assert {seed: most for seed in seeds if (most := play(seed).most()) > MOST} == {}


def test_a_seed_always_gives_the_same_history() -> None:
    assert play(5).sent == play(5).sent


def lowest_want(listed: Any) -> list[Member]:
    alive = [member for each in listed if (member := member_of(each.key))]
    return list({each.token: each for each in sorted(alive, key=lambda each: -each.want)}.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "name", "fault"),
    [
        (Share, "_may_begin", lambda *_: True),
        (share, "_KNOWN_SECONDS", 60.0),
        (divide, "GONE_SECONDS", 12.0),
        (share, "members", lowest_want),
    ],
    ids=["nobody waits", "trusting old signs", "gone too soon", "the lowest want"],
)
def test_a_rule_that_is_left_out_is_found(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, fault: Any) -> None:
    monkeypatch.setattr(place, name, fault)
    assert any(play(seed).most() > MOST for seed in range(500))


def test_a_task_alone_has_the_whole_budget_within_a_few_seconds(world: World) -> None:
    task = Task(world)
    world.run(12)
    assert task.rate(0.5, 1.5) == pytest.approx(BUDGET / SLOTS, rel=0.1)
    assert task.rate(4, 12) > 0.98 * BUDGET


def test_the_pace_that_a_run_is_asked_for_bounds_what_it_may_use(world: World) -> None:
    task = Task(world, pace=0.5)
    world.run(12)
    assert task.rate(0.5, 1.5) == pytest.approx(BUDGET / SLOTS / 2, rel=0.1)
    assert task.rate(4, 12) == pytest.approx(0.5 * BUDGET, rel=0.02)


def test_what_is_left_is_shared_evenly_and_what_one_task_cannot_use_goes_to_the_others(world: World) -> None:
    greedy, other = Task(world), Task(world, rest=busy(1 / (0.3 * BUDGET)))
    world.run(25)
    assert other.rate(15, 25) > 0.28 * BUDGET
    assert greedy.rate(15, 25) > 0.5 * BUDGET
    other.is_over = True
    third = Task(world)
    world.run(50)
    assert greedy.rate(35, 50) == pytest.approx(third.rate(35, 50), rel=0.02)
    assert world.rate(35, 50) > 0.98 * BUDGET


def test_a_task_that_begins_waits_only_where_another_uses_more_than_its_part(world: World) -> None:
    first = Task(world)
    second = Task(world, rest=busy(1 / (0.1 * BUDGET)))
    world.run(8)
    assert max(first.sent[0], second.sent[0]) < 0.3
    third = Task(world)
    world.run(15)
    assert VALID_SECONDS < third.sent[0] - 8 < VALID_SECONDS + 0.3
    assert third.rate(12, 15) >= BUDGET / SLOTS


def test_what_a_task_had_is_for_the_others_when_it_ends_and_a_while_after_it_was_killed(world: World) -> None:
    first, second, third = Task(world), Task(world), Task(world)
    world.run(10)
    second.is_over = True
    world.run(15)
    assert first.rate(13, 15) == pytest.approx(0.5 * BUDGET, rel=0.02)
    third.kill()
    world.run(20 + GONE_SECONDS)
    assert first.rate(16, 20) == pytest.approx(0.5 * BUDGET, rel=0.02)
    assert first.rate(18 + GONE_SECONDS, 20 + GONE_SECONDS) > 0.98 * BUDGET


def test_a_small_task_costs_three_requests_and_a_long_one_less_than_one_per_second(world: World) -> None:
    small, long = Task(world), Task(world)
    world.run(1)
    small.is_over = True
    world.run(60)
    assert small.store.requests == 3
    assert 40 < long.store.requests < 60
    long.is_over = True
    world.run(62)
    assert world.state.objects.contents == {}


def test_while_the_state_fails_for_seconds_a_task_keeps_to_its_part_and_then_goes_on(world: World) -> None:
    task = Task(world)
    world.run(10)
    world.state.is_down = True
    world.run(20)
    assert task.rate(14, 20) == pytest.approx(BUDGET / SLOTS, rel=0.02)
    world.state.is_down = False
    world.run(30)
    assert task.rate(25, 30) > 0.98 * BUDGET


def test_a_task_of_which_the_others_cannot_know_sends_nothing_until_they_do(world: World) -> None:
    world.state.is_down = True
    task = Task(world)
    world.run(5)
    assert task.sent == []
    world.state.is_down = False
    world.run(7)
    assert task.rate(6.5, 7) > 0


def test_a_task_that_stood_still_for_long_waits_until_the_others_know_of_it_again(world: World) -> None:
    sleeper, other = Task(world), Task(world)
    world.run(10)
    world.stall(sleeper.machine, 60)
    world.run(69.9)
    assert other.rate(60, 69) > 0.98 * BUDGET
    world.run(90)
    assert next(at for at in sleeper.sent if at > 69) > 70 + VALID_SECONDS
    assert sleeper.rate(82, 90) == pytest.approx(0.5 * BUDGET, rel=0.02)
    assert world.most() <= MOST


def test_what_dead_tasks_left_is_removed_after_an_hour(world: World) -> None:
    dead = Task(world)
    world.run(1)
    dead.kill()
    world.run(3_700)
    Task(world)
    world.run(3_701)
    assert [key.removeprefix(LAYOUT.budget).split("-")[0] for key in world.state.objects.contents] == ["t1"]
