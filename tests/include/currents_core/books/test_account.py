from __future__ import annotations

from collections import Counter

import orjson
from hypothesis import given
from hypothesis import strategies as st

from currents_core.books.account import Account, Counts, total

counts = st.builds(Counts, *[st.integers(0, 10**9)] * 5)
accounts = st.builds(
    Account,
    st.dictionaries(st.text(max_size=5), counts, max_size=4),
    st.dictionaries(st.text(max_size=5), st.integers(1, 10**6), max_size=3).map(Counter),
    st.dictionaries(st.text(max_size=5), st.sets(st.text(max_size=5), min_size=1, max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(0, 10**6), max_size=3).map(Counter),
)


@given(accounts)
def test_an_account_survives_storage(account: Account) -> None:
    assert Account.from_json(orjson.loads(orjson.dumps(account.as_json()))) == account


@given(st.lists(accounts, max_size=4))
def test_a_total_is_the_sum_of_its_parts(parts: list[Account]) -> None:
    assert total(parts).totals == sum((part.totals for part in parts), Counts())
    assert total(parts).notes == sum((part.notes for part in parts), Counter())


def test_books_balance_only_when_every_row_is_somewhere() -> None:
    assert Counts(read=10, sent=6, duplicate=2, filtered=1, dead_lettered=1).balanced
    assert not Counts(read=10, sent=6, duplicate=2, filtered=1, dead_lettered=0).balanced
    assert str(Counts(3, 1, 1, 1, 0)) == "read 3 = sent 1 + duplicate 1 + filtered 1 + dead-lettered 0"


def test_a_rule_is_idle_only_where_no_part_says_that_it_found_anything() -> None:
    parts = [Account(personal_data=Counter(a=0, b=0)), Account(personal_data=Counter(b=2)), Account()]
    assert total(parts).idle_rules == ["a"]
