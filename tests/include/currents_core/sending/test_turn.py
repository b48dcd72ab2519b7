from __future__ import annotations

from collections import deque
from threading import Barrier, Event, Lock, Thread

import pytest

from currents_core.errors import StoppedError
from currents_core.sending.turn import Turn


def test_what_is_brought_during_a_turn_is_taken_in_it_or_right_after() -> None:
    taken: list[int] = []

    def take(news: deque[int]) -> None:
        first = news.popleft()
        taken.append(first)
        if first < 5:
            turn.bring(first + 1)

    turn = Turn(take)
    turn.bring(0)
    assert taken == [0, 1, 2, 3, 4, 5]


def test_of_many_threads_one_at_a_time_takes_and_nothing_is_left_behind() -> None:
    threads, each = 8, 2_000
    taken: list[int] = []
    at_it = Lock()
    start = Barrier(threads)

    def take(news: deque[int]) -> None:
        assert at_it.acquire(blocking=False)
        while news:
            taken.append(news.popleft())
        at_it.release()

    turn = Turn(take)

    def bring(first: int) -> None:
        start.wait()
        for number in range(first, first + each):
            turn.bring(number)

    running = [Thread(target=bring, args=(number * each,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert sorted(taken) == list(range(threads * each))


def test_who_wants_to_hold_a_turn_that_hangs_may_give_up() -> None:
    hangs, begun = Event(), Event()

    def take(news: deque[str]) -> None:
        begun.set()
        hangs.wait(30)
        news.clear()

    def check() -> None:
        if asked.pop():
            raise StoppedError("told to stop")

    turn, asked = Turn(take), [True, False, False]
    hanging = Thread(target=turn.bring, args=("news",))
    hanging.start()
    begun.wait(30)
    with pytest.raises(StoppedError), turn.held(check):
        pytest.fail("another has its turn")
    assert not asked
    hangs.set()
    hanging.join()
    with turn.held(check):
        turn.bring("more")


def test_a_turn_that_breaks_is_given_back() -> None:
    def take(news: deque[str]) -> None:
        if news.popleft() == "bad":
            raise ValueError("bad")

    turn = Turn(take)
    with pytest.raises(ValueError, match="bad"):
        turn.bring("bad")
    turn.bring("good")
    with turn.held(lambda: None):
        turn.bring("later")


def test_news_that_come_while_a_turn_is_held_are_handled_at_its_end() -> None:
    taken = []

    def take(news: deque[str]) -> None:
        taken.append(news.popleft())

    turn = Turn(take)
    with turn.held(lambda: None):
        turn.bring("an answer")
        assert taken == []
    assert taken == ["an answer"]
