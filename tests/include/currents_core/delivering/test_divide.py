from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from currents_core.books.layout import Layout, Member
from currents_core.delivering.divide import GONE_SECONDS, Demand, members, share_of, wants_more
from currents_core.ports import StoredObject

SLACK = 1e-9


@st.composite
def tasks(draw: st.DrawFn, most: int = 6) -> list[Member]:
    """Tasks whose parts together are at most the budget."""
    weights = draw(st.lists(st.integers(1, 4), min_size=1, max_size=most))
    whole = draw(st.integers(sum(weights), 24))
    found = []
    for number, weight in enumerate(weights):
        part = weight / whole
        want = draw(st.one_of(st.just(part), st.just(1.0), st.floats(part, 1.0)))
        found.append(Member(f"t{number}", part, want))
    return found


def shares(found: list[Member]) -> list[float]:
    return [share_of(each, [other for other in found if other is not each]) for each in found]


@given(tasks())
def test_each_gets_its_part_and_no_more_than_it_wants_and_together_no_more_than_there_is(found: list[Member]) -> None:
    given = shares(found)
    for member, share in zip(found, given, strict=True):
        assert member.part - SLACK <= share <= member.want + SLACK
    assert sum(given) <= 1 + SLACK


@given(tasks())
def test_nothing_is_left_as_long_as_somebody_wants_more(found: list[Member]) -> None:
    given = shares(found)
    if any(share < member.want - 1e-6 for member, share in zip(found, given, strict=True)):
        assert sum(given) == pytest.approx(1.0)


@given(tasks())
def test_of_two_that_want_more_than_they_get_none_gets_more_beyond_its_part(found: list[Member]) -> None:
    extra = [
        share - member.part for member, share in zip(found, shares(found), strict=True) if share < member.want - 1e-6
    ]
    assert max(extra, default=0.0) == pytest.approx(min(extra, default=0.0))


@given(tasks(), st.data())
def test_tasks_that_saw_different_moments_never_exceed_the_budget_together(
    found: list[Member], data: st.DataObject
) -> None:
    """Each saw what it must have seen, others that have ended since, and others that want less by now."""
    total = 0.0
    for member in found:
        seen = [
            each._replace(want=data.draw(st.floats(each.want, max(each.want, 1.0))))
            for each in found
            if each is not member
        ]
        ended = data.draw(st.lists(st.builds(Member, st.just("x"), st.floats(0, 1), st.floats(1, 1)), max_size=2))
        total += share_of(member, [*seen, *ended])
    assert total <= 1 + SLACK


def test_shares_by_example() -> None:
    slot, all_of_it = 0.25, 1.0
    alone = Member("a", slot, all_of_it)
    assert share_of(alone, []) == 1.0
    content = Member("b", slot, slot)
    assert share_of(alone, [content]) == 0.75
    assert share_of(alone, [content, Member("c", slot, all_of_it)]) == 0.375
    # What one can't use goes to the other.
    assert share_of(alone, [Member("c", slot, 0.3)]) == pytest.approx(0.7)
    assert share_of(alone, [content] * 3) == slot
    # A pool that is larger than the budget has slots.
    assert share_of(alone, [content] * 9) == slot


def stored(key: str, age: float = 0.0) -> StoredObject:
    return StoredObject(key, "e", 1, age)


def test_a_listing_shows_each_task_once_with_the_most_that_it_may_want_and_none_that_is_gone() -> None:
    layout = Layout("demo/")
    twice, gone = Member("a", 0.25, 1.0), Member("c", 0.25, 0.25)
    listed = [
        stored(layout.member(twice, 3)),
        stored(layout.member(twice._replace(want=0.5), 4)),
        stored(layout.member(Member("b", 0.5, 0.5), 0), GONE_SECONDS),
        stored(layout.member(gone, 0), GONE_SECONDS + 1),
        stored(f"{layout.budget}readme"),
    ]
    found = {each.token: each for each in members(listed)}
    assert found == {"a": twice, "b": Member("b", 0.5, 0.5)}
    assert wants_more(found["a"])
    assert not wants_more(found["b"])


def test_a_task_that_is_held_back_wants_all_that_it_may_have() -> None:
    demand = Demand(0.25, 0.5)
    assert demand.want == 0.25
    assert demand.look(0.1, 0.25) == 0.25
    assert demand.look(0.24, 0.25) == 0.5


def test_a_task_that_is_kept_from_what_it_wants_wants_no_more() -> None:
    demand = Demand(0.25, 1.0)
    demand.want = 0.6
    assert demand.look(0.4, 0.4) == 0.6
    assert demand.look(0.6, 0.6) == 1.0


def test_a_task_that_uses_less_for_a_while_wants_less_but_never_less_than_its_part() -> None:
    demand = Demand(0.25, 1.0)
    demand.look(0.25, 0.25)
    assert [demand.look(used, 1.0) for used in (0.2, 0.4, 0.3, 0.3, 0.3)] == [1.0] * 4 + [pytest.approx(0.6)]
    assert [demand.look(0.01, 0.6) for _ in range(5)] == [pytest.approx(0.6)] * 4 + [0.25]
    assert [demand.look(0.01, 0.25) for _ in range(9)] == [0.25] * 9


@given(st.floats(0.01, 1.0), st.lists(st.floats(0, 1.2), max_size=40))
def test_what_a_task_wants_is_between_its_part_and_its_limit(part: float, used: list[float]) -> None:
    demand = Demand(part, 1.0)
    for each in used:
        assert part <= demand.look(each, demand.want) <= max(part, 1.0)
